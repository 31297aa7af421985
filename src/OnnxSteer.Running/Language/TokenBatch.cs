using System.Collections.Immutable;

namespace OnnxSteer.Running;

/// <summary>Rows of token ids, filled up to one length on one side.</summary>
public sealed class TokenBatch
{
    private readonly int[] lengths;

    /// <summary>Fills up rows.</summary>
    /// <param name="rows">Token ids of each row; none may be empty.</param>
    /// <param name="padding">The side that the graph understands.</param>
    /// <param name="padId">What to fill up with.</param>
    public TokenBatch(IReadOnlyList<ImmutableArray<int>> rows, PaddingSide padding, int padId)
    {
        if (rows.Count == 0 || rows.Any(row => row.IsEmpty))
            throw new ArgumentException("A batch has at least one row, and every row at least one token.", nameof(rows));
        lengths = [.. rows.Select(row => row.Length)];
        (Rows, Columns, Padding) = (rows.Count, lengths.Max(), padding);
        Ids = new long[Rows * Columns];
        Ids.AsSpan().Fill(padId);
        for (var row = 0; row < Rows; row++)
            for (var i = 0; i < lengths[row]; i++)
                Ids[row * Columns + First(row) + i] = rows[row][i];
    }

    /// <summary>How many rows.</summary>
    public int Rows { get; }

    /// <summary>Tokens of the longest row.</summary>
    public int Columns { get; }

    /// <summary>Where the filling is.</summary>
    public PaddingSide Padding { get; }

    /// <summary>All ids, row by row: <c>[rows, columns]</c>.</summary>
    public long[] Ids { get; }

    /// <summary>Real tokens of a row.</summary>
    public int Length(int row) => lengths[row];

    /// <summary>Column of a row's first real token.</summary>
    public int First(int row) => Padding == PaddingSide.Left ? Columns - lengths[row] : 0;

    /// <summary>Column of a row's last real token.</summary>
    public int Last(int row) => First(row) + lengths[row] - 1;
}
