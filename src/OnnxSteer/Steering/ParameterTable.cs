using System.Runtime.InteropServices;
using System.Security.Cryptography;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Parameters of many values side by side, a row for each map: one constant instead of one a value. Equal columns, as of the
/// same site in two branches, are there once.
/// </summary>
/// <param name="isBank">Whether a row is chosen at run time; then one more row, the last, is the identity.</param>
internal sealed class ParameterTable(bool isBank)
{
    private readonly List<(double[][] Rows, double None)> _columns = [];
    private readonly Dictionary<string, int> _known = [];

    /// <summary>How many columns each part has.</summary>
    public IReadOnlyList<long> Sizes => [.. _columns.Select(part => (long)part.Rows[0].Length)];

    /// <summary>Adds a part.</summary>
    /// <param name="rows">For each map as many numbers.</param>
    /// <param name="none">What stands for the identity.</param>
    /// <param name="key">Parts of different keys are kept apart even where they are equal.</param>
    /// <returns>The number of the part.</returns>
    public int Add(IEnumerable<double[]> rows, double none, string key)
    {
        double[][] part = [.. rows];
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var row in part)
            hash.AppendData(MemoryMarshal.AsBytes(row.AsSpan()));
        var digest = $"{key} {part[0].Length} {Convert.ToHexString(hash.GetHashAndReset())}";
        if (!_known.TryGetValue(digest, out var index))
        {
            _known[digest] = index = _columns.Count;
            _columns.Add((part, none));
        }
        return index;
    }

    /// <summary>The row in use, <c>[rows, 1, columns]</c>: the only one, or the one that each batch row chooses.</summary>
    public string Row(Ops ops, string hint, DataType type, string? choice)
    {
        var width = Sizes.Sum();
        var maps = _columns[0].Rows.Length;
        List<double> table = [];
        for (var map = 0; map < maps; map++)
            foreach (var (rows, _) in _columns)
                table.AddRange(rows[map]);
        if (!isBank)
            return ops.Constant(hint, type, [1, 1, width], [.. table]);
        foreach (var (rows, none) in _columns)
            table.AddRange(Enumerable.Repeat(none, rows[0].Length));
        return ops.Node(hint, "Gather", ops.Constant(hint, type, [maps + 1, width], [.. table]), choice!);
    }
}
