using System.Text;

namespace OnnxSteer.Testing;

/// <summary>Bar charts as static SVG.</summary>
internal static class Chart
{
    private const int Width = 760, LabelWidth = 230, RowHeight = 34, LetterWidth = 7, Bar = 16, ValueWidth = 120;

    /// <summary>One bar a row, from 0 to 1, with the interval as a whisker.</summary>
    public static string Shares(IReadOnlyList<(string Label, Proportion Share)> rows)
    {
        var chart = Begin(rows.Count, "Share of texts with the trait, with 95 % intervals");
        var scale = Width - LabelWidth - ValueWidth;
        foreach (var (i, (label, share)) in rows.Index())
        {
            var y = RowHeight * i + RowHeight / 2;
            chart.Append(Rect(LabelWidth, y - Bar / 2, share.Value * scale, "var(--after)"));
            var (low, high) = (LabelWidth + share.Low * scale, LabelWidth + share.High * scale);
            chart.Append($"<path d=\"M{N(low)} {y}H{N(high)}M{N(low)} {y - 5}v10M{N(high)} {y - 5}v10\" stroke=\"var(--ink)\" stroke-width=\"1.5\" fill=\"none\"/>");
            chart.Append(Label(0, y, label)).Append(Label(LabelWidth + scale + 14, y, $"{Html.Number(share.Value, "P0")} <tspan class=\"soft\">({Html.Number(share.Low * 100, "0")}–{Html.Number(share.High * 100, "0")})</tspan>", isMarkup: true));
        }
        return chart.Append("</svg>").ToString();
    }

    /// <summary>Two bars a row: before and after.</summary>
    public static string BeforeAfter(IReadOnlyList<(string Label, double Before, double After)> rows)
    {
        var chart = Begin(rows.Count, "Distance between the two sets of prompts before and after the map");
        var largest = rows.Max(row => Math.Max(row.Before, row.After));
        var left = Math.Clamp(rows.Max(row => row.Label.Length) * LetterWidth, LabelWidth, Width / 2);
        var scale = (Width - left - ValueWidth) / Math.Max(largest, double.Epsilon);
        foreach (var (i, (label, before, after)) in rows.Index())
        {
            var y = RowHeight * i + RowHeight / 2;
            chart.Append(Rect(left, y - 11, before * scale, "var(--before)", 10)).Append(Rect(left, y + 1, after * scale, "var(--after)", 10));
            chart.Append(Label(0, y, label)).Append(Label(Width - ValueWidth + 14, y, $"{Html.Number(before, "0.000")} → {Html.Number(after, "0.000")}"));
        }
        return chart.Append("</svg>").ToString();
    }

    private static StringBuilder Begin(int rows, string title) =>
        new($"<svg viewBox=\"0 0 {Width} {RowHeight * rows}\" role=\"img\" aria-label=\"{Html.Text(title)}\">");

    private static string Rect(double x, double y, double width, string colour, int height = Bar) =>
        $"<rect x=\"{N(x)}\" y=\"{N(y)}\" width=\"{N(Math.Max(width, 1))}\" height=\"{height}\" rx=\"2\" fill=\"{colour}\"/>";

    private static string Label(double x, double y, string text, bool isMarkup = false) =>
        $"<text x=\"{N(x)}\" y=\"{N(y + 4.5)}\">{(isMarkup ? text : Html.Text(text))}</text>";

    private static string N(double value) => Html.Number(value, "0.##");
}
