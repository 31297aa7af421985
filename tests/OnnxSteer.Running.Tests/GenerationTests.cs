using System.Collections.Immutable;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Sampling, ends, limits and errors of generation.</summary>
public sealed class GenerationTests
{
    public static TheoryData<string> All => Exports.All;

    [SharedTheory, MemberData(nameof(All))]
    public void A_seed_gives_one_text_in_any_batch(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(subject.Model);
        ImmutableArray<int>[] prompts = [subject.Rows[0][..6], subject.Rows[1], subject.Rows[2][..3], subject.Rows[0][..2], subject.Rows[1][..9]];
        foreach (var sampling in new[] { new Sampling(Seed: 3), new Sampling(0.7f, 20, 0.9f, 4) })
        {
            var options = new GenerationOptions { MaxNewTokens = 20, Sampling = sampling, IgnoreEos = true };
            var together = Ids(runner.Decoder.Generate(prompts, options));
            Assert.Equal(together, Ids(runner.Decoder.Generate(prompts, options)));
            // Rows keep their number, however they are cut into batches.
            for (var row = 0; row < prompts.Length; row++)
                Assert.Equal(together[row], Ids(runner.Decoder.Generate([prompts[row]], options, firstRow: row))[0]);
            Assert.Equal(together, [.. Ids(runner.Decoder.Generate(prompts[..2], options)), .. Ids(runner.Decoder.Generate(prompts[2..], options, firstRow: 2))]);
            Assert.NotEqual(together, Ids(runner.Decoder.Generate(prompts, options with { Sampling = sampling with { Seed = 99 } })));
        }
        // Equal prompts are different draws; only the likeliest token is greedy.
        var twins = Ids(runner.Decoder.Generate([prompts[1], prompts[1]], new GenerationOptions { MaxNewTokens = 20, Sampling = new Sampling() }));
        Assert.NotEqual(twins[0], twins[1]);
        Assert.Equal(Ids(runner.Decoder.Generate(prompts, new GenerationOptions { MaxNewTokens = 20 })),
            Ids(runner.Decoder.Generate(prompts, new GenerationOptions { MaxNewTokens = 20, Sampling = new Sampling(TopK: 1) })));
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Tokens_are_drawn_as_often_as_their_probability_says(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(subject.Model);
        const int draws = 4000;
        var prompt = subject.Rows[1][..5];
        var logits = runner.Last(prompt);
        var sampling = new Sampling(1.3f, 6, 0.95f, 1);
        // The six likeliest at that temperature; of them as many as make up 95 percent.
        var likeliest = logits.Select((logit, id) => (Id: id, Weight: Math.Exp(logit / 1.3))).OrderByDescending(token => token.Weight).Take(6).ToList();
        var (kept, mass, sum) = (new List<(int Id, double Weight)>(), 0.0, likeliest.Sum(token => token.Weight));
        foreach (var token in likeliest.TakeWhile(_ => mass < 0.95 * sum))
        {
            kept.Add(token);
            mass += token.Weight;
        }
        var counts = new Dictionary<int, int>();
        for (var first = 0; first < draws; first += 500)
            foreach (var row in runner.Decoder.Generate([.. Enumerable.Repeat(prompt, 500)], new GenerationOptions { MaxNewTokens = 1, Sampling = sampling }, firstRow: first))
                counts[row.Ids[0]] = counts.GetValueOrDefault(row.Ids[0]) + 1;
        Assert.Subset(kept.Select(token => token.Id).ToHashSet(), counts.Keys.ToHashSet());
        foreach (var (id, weight) in kept)
        {
            var share = weight / mass;
            // Five standard deviations.
            Assert.InRange(counts.GetValueOrDefault(id) / (double)draws, share - 5 * Math.Sqrt(share * (1 - share) / draws), share + 5 * Math.Sqrt(share * (1 - share) / draws));
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void An_end_token_ends_its_row_alone(string export)
    {
        var subject = Subject.Of(export);
        // A dial that makes the end token by far the likeliest, in generated text only: the first token is the model's own.
        var ending = new SteeringMap([new("lm_head", Transport.Of("lm_head", [.. Enumerable.Repeat(1f, 512)], [.. Enumerable.Range(0, 512).Select(id => id == 2 ? 1000f : 0)]))]);
        using var runner = new Runner(Exports.Patch(subject.Model, ending, Mode.Live, 0, Positions.Generated));
        Assert.Equal([2], runner.Decoder.Config.EosIds.AsEnumerable());
        var options = new GenerationOptions { MaxNewTokens = 7, Dials = Exports.Dial(0, 1, 0) };
        var streamed = new List<(int Row, int Token)>();
        var completions = runner.Decoder.Generate(subject.Rows, options, (row, token) => streamed.Add((row, token)));
        var free = runner.Decoder.Generate(subject.Rows, options with { Dials = ImmutableDictionary<string, float[]>.Empty });
        Assert.Equal([Finish.Length, Finish.Eos, Finish.Length], completions.Select(row => row.Finish));
        Assert.Equal([free[1].Ids[0], 2], completions[1].Ids.AsEnumerable());
        Assert.Equal(free[0].Ids.AsEnumerable(), completions[0].Ids.AsEnumerable());
        Assert.Equal(free[2].Ids.AsEnumerable(), completions[2].Ids.AsEnumerable());
        for (var row = 0; row < 3; row++)
            Assert.Equal(completions[row].Ids.AsEnumerable(), streamed.Where(entry => entry.Row == row).Select(entry => entry.Token));
        var ignored = runner.Decoder.Generate(subject.Rows, options with { IgnoreEos = true });
        Assert.Equal([free[1].Ids[0], 2, 2, 2, 2, 2, 2], ignored[1].Ids.AsEnumerable());
        Assert.All(ignored, row => Assert.Equal((Finish.Length, 7), (row.Finish, row.Ids.Length)));
    }

    [SharedTheory, MemberData(nameof(All))]
    public void The_context_ends_its_row_alone(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(subject.Model);
        Assert.Equal(512, runner.Decoder.Config.ContextLength);
        ImmutableArray<int> Long(int length) => [.. Enumerable.Range(0, length).Select(i => subject.Rows[i / 12 % 3][i % 12])];
        ImmutableArray<int>[] prompts = [Long(505), subject.Rows[0], Long(509), subject.Rows[2][..4]];
        var options = new GenerationOptions { MaxNewTokens = 12, IgnoreEos = true };
        var completions = runner.Decoder.Generate(prompts, options);
        Assert.Equal([Finish.Context, Finish.Length, Finish.Context, Finish.Length], completions.Select(row => row.Finish));
        Assert.Equal([7, 12, 3, 12], completions.Select(row => row.Ids.Length));
        for (var row = 0; row < prompts.Length; row++)
            Assert.Equal(Ids(runner.Decoder.Generate([prompts[row]], options))[0], completions[row].Ids.ToArray());
        foreach (var length in new[] { 512, 600 })
            Assert.Contains($"has {length} tokens; at most 511 fit the model's context", Assert.Throws<OnnxException>(() => runner.Decoder.Generate([prompts[1], Long(length)], options)).Message, StringComparison.Ordinal);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Dials_stay_with_their_rows_when_others_reach_the_end_of_the_context(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(Exports.Patch(subject.Model, subject.Map(Kind.Affine, subject.Table.Matching(".*o_proj")), Mode.Live, 0));
        ImmutableArray<int>[] prompts = [[.. Enumerable.Range(0, 508).Select(i => subject.Rows[1][i % 12])], subject.Rows[0], subject.Rows[2]];
        var options = new GenerationOptions { MaxNewTokens = 14, IgnoreEos = true };
        var together = Ids(runner.Decoder.Generate(prompts, options with { Dials = Exports.Dial(0.1f, 0.6f, -0.4f) }));
        Assert.Equal(together[1], Ids(runner.Decoder.Generate([prompts[1]], options with { Dials = Exports.Dial(0.6f) }))[0]);
        Assert.Equal(together[2], Ids(runner.Decoder.Generate([prompts[2]], options with { Dials = Exports.Dial(-0.4f) }))[0]);
        Assert.NotEqual(together[1], Ids(runner.Decoder.Generate([prompts[1]], options))[0]);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Prompts_that_cannot_be_gone_on_from_are_refused(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(subject.Model);
        void Refused(ImmutableArray<int> prompt, string words) =>
            Assert.Contains(words, Assert.Throws<OnnxException>(() => runner.Decoder.Generate([subject.Rows[0], prompt], new GenerationOptions())).Message, StringComparison.Ordinal);
        Refused([], "Prompt 2 has no tokens");
        Refused([1, 512], "token id 512; ids from 0 to 511");
        Refused([-1, 5], "token id -1; ids from 0 to 511");
        foreach (var sampling in new[] { new Sampling(0), new Sampling(float.NaN), new Sampling(TopP: 0), new Sampling(TopP: 1.5f), new Sampling(TopK: -1) })
            Assert.Contains("out of range", Assert.Throws<OnnxException>(() => runner.Decoder.Generate(subject.Rows, new GenerationOptions { Sampling = sampling })).Message, StringComparison.Ordinal);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Logits_that_are_no_numbers_are_an_error_and_forbidden_tokens_are_none(string export)
    {
        var subject = Subject.Of(export);
        foreach (var sampling in new[] { null, new Sampling() })
        {
            var options = new GenerationOptions { MaxNewTokens = 3, Sampling = sampling };
            // Overflow inside the model: infinities of both signs add up to NaN.
            var explosion = Map(subject, "model.norm", _ => 3e38f, _ => 0);
            using var damaged = new Runner(Exports.Patch(subject.Model, explosion, Mode.Baked, 1));
            Assert.Contains("the strength is too high", Assert.Throws<OnnxException>(() => damaged.Decoder.Generate(subject.Rows, options)).Message, StringComparison.Ordinal);
            // A single one that overflows, to either side, among 511 sound ones.
            foreach (var shift in new[] { 3.4e38f, -3.4e38f })
            {
                using var single = new Runner(Exports.Patch(subject.Model, Map(subject, "lm_head", _ => 1, id => id == 7 ? shift : 0), Mode.Live, 0));
                var doubled = options with { Dials = Exports.Dial(2) };
                if (shift < 0)
                    Assert.All(single.Decoder.Generate(subject.Rows, doubled), row => Assert.DoesNotContain(7, row.Ids));
                else
                    Assert.Contains("finite number was expected", Assert.Throws<OnnxException>(() => single.Decoder.Generate(subject.Rows, doubled)).Message, StringComparison.Ordinal);
            }
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void A_cancelled_generation_ends(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(subject.Model);
        using var cancel = new CancellationTokenSource();
        var tokens = 0;
        Assert.ThrowsAny<OperationCanceledException>(() => runner.Decoder.Generate([subject.Rows[0]], new GenerationOptions { IgnoreEos = true },
            (_, _) =>
            {
                if (++tokens == 5)
                    cancel.Cancel();
            }, cancel: cancel.Token));
        Assert.Equal(5, tokens);
    }

    private static SteeringMap Map(Subject subject, string site, Func<int, float> w, Func<int, float> b)
    {
        var channels = Enumerable.Range(0, subject.Table.Find(site).Channels).ToList();
        return new SteeringMap([new(site, Transport.Of(site, [.. channels.Select(w)], [.. channels.Select(b)]))]);
    }

    private static int[][] Ids(IReadOnlyList<Completion> completions) => [.. completions.Select(row => row.Ids.ToArray())];
}
