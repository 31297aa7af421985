using System.Text.RegularExpressions;

namespace OnnxSteer.Testing;

/// <summary>The demonstration as a page for people.</summary>
public static partial class DemonstrationReport
{
    /// <summary>One self-contained HTML page.</summary>
    public static string Html(DemonstrationResult result)
    {
        var trait = result.Trait;
        return Testing.Html.Page($"OnnxSteer: {trait.Name}", $"""
            <h1>A story model, steered towards {Text(trait.Name)}</h1>
            <p class="lead">A map of {result.Fit.Sites.Length} sites was fitted from {trait.Source.Count} + {trait.Target.Count} sentences and written into the ONNX graph
            of a model of {result.Model.Parameters:N0} parameters, with a dial from 0 to 1. Nothing else in the model was touched.</p>

            <h2>What it writes</h2>
            {Texts(result)}
            <p class="note">The likeliest token each time. These openings are shown because they show the change; of all {result.Trait.Openings.Count}, {Text(string.Join(", ", result.Measurements.Take(result.Strengths.Length).Select(row => $"{row.Greedy.Hits} at {row.Label}")))} come out with the trait. Words that show it are marked.</p>

            <h2>How often</h2>
            {Chart.Shares([.. result.Measurements.Select(row => (row.Label, row.Trait))])}
            <p class="note">Share of {result.Measurements[0].Trait.Trials} drawn continuations (temperature 0.7, top-p 0.9), {DrawsOf(result)} of each opening, with one of the words {Text(string.Join(", ", trait.Words.Order()))}; Wilson intervals of 95 %, as if texts of one opening were independent.
            “Asking for it” is the unsteered model with “{Text(trait.Asking)}” before each opening.</p>

            <h2>What it costs</h2>
            {Costs(result)}
            <p class="note">Perplexity of {trait.Neutral.Count} neutral texts that were not part of the fit; and the share of continuations in which some four words in a row occur three times or more.</p>

            <h2>The fit</h2>
            {Chart.BeforeAfter([.. result.Fit.Sites.Select(site => (site.Site, site.DistanceBefore, site.DistanceAfter))])}
            <p class="note">Distance between the activations of the two sets of sentences, before (grey) and after the map: 1-D Wasserstein per channel, in standard deviations, averaged over {result.Fit.Sites[0].Channels} channels. {Text(result.Fit.Map.Provenance.Method ?? "")} maps, {Text(result.Fit.Map.Provenance.Pooling ?? "")} pooling, band {Text(result.Fit.Map.Provenance.Band ?? "")}; {result.Fit.Sites.Sum(site => site.Dead)} channels left alone.</p>

            <h2>The proof</h2>
            {Testing.Html.Table("proof", ["", "check", "seen"], result.Proof.Select(verdict => new[] { verdict.Holds ? "<span class=\"yes\">holds</span>" : "<span class=\"no\">fails</span>", Text(verdict.Check), Text(verdict.Detail) }))}

            <h2>The model</h2>
            <dl><dt>dialect</dt><dd>{Text(result.Model.Table.Dialect)}: {Text(result.Model.Table.Evidence)}</dd>
            <dt>sites found</dt><dd>{result.Model.Table.Sites.Length}; steered here: {Text(trait.Sites)}</dd>
            <dt>map</dt><dd>{Text(result.MapFile)}</dd>
            <dt>steered models</dt><dd>{string.Join("<br>", result.SteeredFolders.Select(Text))}</dd></dl>

            <h2>How to use it</h2>
            <pre>{Text(Usage(result))}</pre>
            """);
    }

    /// <summary>How a product uses the steered folder.</summary>
    public static string Usage(DemonstrationResult result) => $"""
        // Any ONNX Runtime: the dial is an optional input of the model, one strength or one per batch row.
        using var session = new InferenceSession("{Path.Combine(result.SteeredFolders[0], "model.onnx")}");
        inputs.Add(NamedOnnxValue.CreateFromTensor("onnxsteer.strength", new DenseTensor<float>(new[] {"{"} 0.5f {"}"}, new[] {"{"} 1 {"}"})));

        // onnxruntime-genai: the folder runs unchanged, at the strength it was written with.
        using var model = new Model("{result.SteeredFolders[^1]}");
        """;

    private static string Texts(DemonstrationResult result) => Testing.Html.Table("texts", result.Strengths.Select(strength => $"strength {strength}"),
        result.Texts.Select(row => row.Continuations.Select(text => $"<b class=\"opening\">{Text(row.Opening)}</b>{Marked(result.Trait, text)}")));

    private static int DrawsOf(DemonstrationResult result) => result.Measurements[0].Trait.Trials / result.Trait.Openings.Count;

    private static string Costs(DemonstrationResult result) => Testing.Html.Table("costs", ["", "perplexity of neutral text", "repeating texts"],
        result.Measurements.Select(row => new[]
        {
            Text(row.Label), row.Perplexity is { } perplexity ? Testing.Html.Number(perplexity, "0.00") : "", Testing.Html.Number(row.Repeating.Value, "P0"),
        }));

    private static string Marked(Trait trait, string text) =>
        Pieces().Replace(text, match => trait.IsIn(match.Value) ? $"<mark>{Text(match.Value)}</mark>" : Text(match.Value));

    private static string Text(string text) => Testing.Html.Text(text);

    [GeneratedRegex(@"\p{L}+|[^\p{L}]+")]
    private static partial Regex Pieces();
}
