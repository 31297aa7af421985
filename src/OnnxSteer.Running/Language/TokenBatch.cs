using System.Collections.Immutable;

namespace OnnxSteer.Running;

/// <summary>Rows of token ids, filled up to one length on one side.</summary>
public sealed class TokenBatch
{
    private readonly int[] lengths;
    private readonly ImmutableArray<(int Start, int End)>? chosen;

    /// <summary>Fills up rows.</summary>
    /// <param name="rows">Token ids of each row; none may be empty.</param>
    /// <param name="padding">The side that the graph understands.</param>
    /// <param name="padId">What to fill up with.</param>
    /// <param name="chosen">Which tokens of each row are pooled, from Start to before End; null for all.</param>
    public TokenBatch(IReadOnlyList<ImmutableArray<int>> rows, PaddingSide padding, int padId, ImmutableArray<(int Start, int End)>? chosen = null)
    {
        this.chosen = chosen;
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

    /// <summary>1 for the tokens that are pooled: <c>[rows, columns]</c>.</summary>
    public long[] Chosen()
    {
        var mask = new long[Rows * Columns];
        for (var row = 0; row < Rows; row++)
        {
            var (start, end) = chosen?[row] ?? (0, lengths[row]);
            mask.AsSpan(row * Columns + First(row) + start, end - start).Fill(1);
        }
        return mask;
    }

    /// <summary>Real tokens of a row.</summary>
    public int Length(int row) => lengths[row];

    /// <summary>Column of a row's first real token.</summary>
    public int First(int row) => Padding == PaddingSide.Left ? Columns - lengths[row] : 0;

    /// <summary>Column of a row's last real token.</summary>
    public int Last(int row) => First(row) + lengths[row] - 1;
}
