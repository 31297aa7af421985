using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>An immutable row-major matrix of singles: pooled activations are <c>[samples, channels]</c>.</summary>
public sealed class Matrix : IEquatable<Matrix>
{
    private readonly ImmutableArray<float> values;

    /// <summary>A matrix over <paramref name="values"/>, row after row; nothing is copied.</summary>
    /// <exception cref="ArgumentException">The number of values is not rows times columns.</exception>
    public Matrix(int rows, int columns, ImmutableArray<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        if (values.IsDefault || values.Length != (long)rows * columns)
            throw new ArgumentException($"[{rows}, {columns}] takes {(long)rows * columns} values, not "
                + $"{(values.IsDefault ? 0 : values.Length)}.", nameof(values));
        Rows = rows;
        Columns = columns;
        this.values = values;
    }

    /// <summary>The number of rows: samples.</summary>
    public int Rows { get; }

    /// <summary>The number of columns: channels.</summary>
    public int Columns { get; }

    /// <summary>All values, row after row.</summary>
    public ReadOnlySpan<float> Values => values.AsSpan();

    /// <summary>One value.</summary>
    public float this[int row, int column] => Row(row)[column];

    /// <summary>A matrix over a copy of <paramref name="values"/>, row after row.</summary>
    public static Matrix Of(int rows, int columns, ReadOnlySpan<float> values) => new(rows, columns, [.. values]);

    /// <summary>One row.</summary>
    public ReadOnlySpan<float> Row(int row) => Values.Slice(row * Columns, Columns);

    /// <summary>Copies one column.</summary>
    public void CopyColumn(int column, Span<float> to)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)column, (uint)Columns, nameof(column));
        for (int row = 0, at = column; row < Rows; row++, at += Columns)
            to[row] = values[at];
    }

    /// <summary>Some of the rows, in the order given.</summary>
    public Matrix Take(ReadOnlySpan<int> rows)
    {
        var taken = ImmutableArray.CreateBuilder<float>(rows.Length * Columns);
        foreach (var row in rows)
            taken.AddRange(Row(row));
        return new Matrix(rows.Length, Columns, taken.MoveToImmutable());
    }

    /// <summary>The product of each row with a vector of as many numbers as there are columns, in float64.</summary>
    public double[] Project(ReadOnlySpan<double> vector)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(vector.Length, Columns, nameof(vector));
        var products = new double[Rows];
        for (var row = 0; row < Rows; row++)
        {
            var values = Row(row);
            for (var column = 0; column < values.Length; column++)
                products[row] += values[column] * vector[column];
        }
        return products;
    }

    /// <summary>Each row in float64.</summary>
    public IEnumerable<double[]> ToDoubles() => Enumerable.Range(0, Rows).Select(row => Array.ConvertAll(Row(row).ToArray(), value => (double)value));

    /// <summary>Whether shape and values are the same; every NaN equals every other.</summary>
    public bool Equals(Matrix? other)
        => other is not null && Rows == other.Rows && Columns == other.Columns && Values.SequenceEqual(other.Values);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Matrix);

    /// <inheritdoc/>
    public override int GetHashCode()
        => HashCode.Combine(Rows, Columns, values.IsEmpty ? 0f : values[0], values.IsEmpty ? 0f : values[^1]);

    /// <summary>The shape.</summary>
    public override string ToString() => $"[{Rows}, {Columns}]";
}
