using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>Massive activations at one site.</summary>
/// <param name="Site">The site.</param>
/// <param name="Median">The median over all tokens of the length (Euclidean norm) of their activations.</param>
/// <param name="Largest">The longest of them.</param>
/// <param name="Ratio">The longest in units of the median.</param>
/// <param name="Tokens">How many tokens are longer than <see cref="MassiveActivations.Threshold"/> medians.</param>
/// <param name="Prompts">In how many prompts there are such tokens.</param>
/// <param name="Positions">The positions where they stand, from 0, and how often each, the commonest first.</param>
public sealed record MassiveSite(string Site, float Median, float Largest, double Ratio, int Tokens, int Prompts, ImmutableArray<TokenPosition> Positions);

/// <summary>A position in a prompt.</summary>
/// <param name="Position">Its number, from 0.</param>
/// <param name="Tokens">How many of the tokens that are meant stand there.</param>
public sealed record TokenPosition(int Position, int Tokens);

/// <summary>What was found of massive activations.</summary>
/// <param name="Prompts">How many prompts were looked at.</param>
/// <param name="LookedAt">How many sites were.</param>
/// <param name="Sites">The sites that have any, in the order of execution.</param>
public sealed record MassiveReport(int Prompts, int LookedAt, ImmutableArray<MassiveSite> Sites)
{
    /// <summary>In one sentence, for people; null where nothing was found.</summary>
    public string? Note()
    {
        if (Sites.IsEmpty)
            return null;
        var worst = Sites.MaxBy(site => site.Ratio)!;
        var all = Sites.Sum(site => site.Tokens);
        var first = Sites.Sum(site => site.Positions.Where(position => position.Position == 0).Sum(position => position.Tokens));
        return FormattableString.Invariant($"massive activations at {Sites.Length} of {LookedAt} sites ({Prompts} prompts looked at): {first} of {all} such tokens are the first of their prompt, up to {worst.Ratio:0} times the median length at {worst.Site}. --skip-first leaves the first token out; measure whether that helps.");
    }
}

/// <summary>
/// Finds tokens whose activations are many times longer than others', as the first token's are in models that know no token for the
/// beginning (arXiv 2402.17762). They bend means, and are the extremum of every prompt.
/// </summary>
public static class MassiveActivations
{
    /// <summary>From how many medians on an activation is massive.</summary>
    public const double Threshold = 20;

    /// <summary>How many prompts are looked at, where there are more; spread evenly over all.</summary>
    public const int Sample = 16;

    /// <summary>Looks at a sample of the prompts: one session more, and one call on sixteen prompts. Only one length a token leaves the graph.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites; those whose values have no tokens are left out.</param>
    /// <param name="prompts">Token ids of each prompt.</param>
    /// <param name="options">The session's settings.</param>
    /// <param name="cancel">Ends the run.</param>
    public static MassiveReport Find(Model model, IEnumerable<Site> sites, IReadOnlyList<ImmutableArray<int>> prompts, SessionOptions? options = null, CancellationToken cancel = default)
    {
        TokenizedPrompts.Check(prompts, model);
        var (pruned, lengths) = SiteTaps.Lengths(model, sites);
        ImmutableArray<int>[] rows = prompts.Count <= Sample ? [.. prompts] : [.. Enumerable.Range(0, Sample).Select(i => prompts[(int)((long)i * prompts.Count / Sample)])];
        if (lengths.IsEmpty)
            return new MassiveReport(rows.Length, 0, []);
        using var decoder = Decoder.Open(pruned, DecoderSignature.Of(model), options);
        var batch = new TokenBatch(rows, decoder.Signature.Padding, decoder.Config.PadId);
        using var state = decoder.Start(rows.Length);
        var results = state.Run(batch, [.. lengths.Select(length => length.Output)], cancel);
        var found = lengths.Zip(results, (length, result) => Of(length.Site.Name, result.ToSingles(), batch)).OfType<MassiveSite>().ToImmutableArray();
        foreach (var result in results)
            result.Dispose();
        return new MassiveReport(rows.Length, lengths.Length, found);
    }

    private static MassiveSite? Of(string site, float[] lengths, TokenBatch batch)
    {
        var tokens = Enumerable.Range(0, batch.Rows).SelectMany(row => Enumerable.Range(0, batch.Length(row)).Select(position => (Row: row, Position: position, Length: lengths[row * batch.Columns + batch.First(row) + position]))).ToList();
        var sorted = tokens.Select(token => token.Length).Order().ToArray();
        var median = sorted[sorted.Length / 2];
        var massive = tokens.Where(token => token.Length > Threshold * median).ToList();
        return median > 0 && massive.Count > 0 ? new MassiveSite(site, median, sorted[^1], sorted[^1] / (double)median, massive.Count, massive.Select(token => token.Row).Distinct().Count(),
            [.. massive.GroupBy(token => token.Position).Select(group => new TokenPosition(group.Key, group.Count())).OrderByDescending(position => position.Tokens).ThenBy(position => position.Position)]) : null;
    }
}
