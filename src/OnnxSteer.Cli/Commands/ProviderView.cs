using System.Globalization;
using Spectre.Console;

namespace OnnxSteer.Cli.Commands;

/// <summary>Shows what a model would do on an execution provider.</summary>
internal static class ProviderView
{
    private const int Named = 3;

    public static object Document(ProviderReport report) => new
    {
        Name = report.Provider.ToString().ToLowerInvariant(),
        report.Nodes,
        report.Untyped,
        Missing = report.Missing.Select(node => new { node.Graph, node.Node, node.Operator, Inserted = node.IsInserted, node.Reason }),
        Float16 = report.Float16 is not { } bounds ? null : new { bounds.Nodes, bounds.Limit, bounds.Node, bounds.Strength, bounds.Unproved },
    };

    public static void Show(Terminal terminal, ProviderReport report)
    {
        var console = terminal.Console();
        var name = report.Provider == Provider.Cuda ? "CUDA" : "DirectML";
        string Number(double value) => value.ToString("N0", CultureInfo.InvariantCulture);
        console.WriteLine($"{name}, checked without the device: {Number(report.Nodes - report.Missing.Length)} of {Number(report.Nodes)} nodes have a kernel{(report.Missing.IsEmpty ? "" : "; the others run on the CPU")}."
            + (report.Untyped > 0 ? $" {Number(report.Untyped)} nodes read a value of unknown type; their operators alone were checked." : ""));
        if (!report.Missing.IsEmpty)
        {
            var table = new Table().Border(TableBorder.Simple).AddColumns("operator", "nodes", "why", "which");
            foreach (var group in report.Missing.GroupBy(node => (node.Operator, node.Reason, node.IsInserted)))
                table.AddRow(new[]
                {
                    group.Key.Operator, $"{group.Count()}{(group.Key.IsInserted ? " inserted" : "")}", group.Key.Reason,
                    string.Join(", ", group.Take(Named).Select(node => node.Node)) + (group.Count() > Named ? ", ..." : ""),
                }.Select(Markup.Escape).ToArray());
            console.Write(table);
        }
        if (report.Float16 is not { } bounds)
            return;
        if (bounds.Nodes > bounds.Unproved.Length)
            console.WriteLine($"float16: at strengths up to {bounds.Strength.ToString("R", CultureInfo.InvariantCulture)}, none of the {Number(bounds.Nodes - bounds.Unproved.Length)} inserted nodes overflows while activations stay below {Number(bounds.Limit)}"
            + (bounds.Node is null ? ", float16's own end." : $" ({bounds.Node} sets the limit)."));
        foreach (var unproved in bounds.Unproved)
            console.WriteLine($"  not proved: {unproved}");
    }
}
