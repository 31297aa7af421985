using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Running.Tests;

/// <summary>A batch of rows of different lengths is its rows run alone, on the padding side that the graph understands.</summary>
public sealed class BatchTests
{
    private const double Tolerance = 1e-4;

    public static TheoryData<string> All => Exports.All;

    public static TheoryData<string, string> Steered
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var export in Exports.Names)
                foreach (var mode in new[] { "Unsteered", nameof(Mode.Baked), nameof(Mode.Live) })
                    foreach (var positions in mode == "Unsteered" ? ["All"] : Enum.GetNames<Positions>().Append("Skip"))
                        data.Add(export, $"{mode} {positions}");
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Steered))]
    public void Logits_and_tokens_of_a_batch_are_those_of_its_rows(string export, string how)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(Steer(subject, how));
        var rows = Ragged(subject, how);
        var batch = runner.Batch(rows);
        var together = runner.Logits(rows);
        for (var row = 0; row < rows.Length; row++)
        {
            var alone = runner.Logits([rows[row]]);
            var start = (row * batch.Columns + batch.First(row)) * 512;
            Assert.InRange(Exports.Worst(alone, together.AsSpan(start, alone.Length)), 0, Tolerance);
        }
        var options = new GenerationOptions { MaxNewTokens = 24, IgnoreEos = true };
        var completions = runner.Decoder.Generate(rows, options);
        for (var row = 0; row < rows.Length; row++)
            Assert.Equal(runner.Decoder.Generate([rows[row]], options)[0].Ids.AsEnumerable(), completions[row].Ids.AsEnumerable());
    }

    [SharedTheory, MemberData(nameof(Steered))]
    public void Later_calls_of_a_batch_are_those_of_its_rows(string export, string how)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(Steer(subject, how));
        var rows = Ragged(subject, how);
        // A prompt, one token, three tokens at once (a next turn), one token. GroupQueryAttention takes a next turn of one row only.
        int[] counts = DecoderSignature.Of(subject.Model).Padding == PaddingSide.Left ? [1, 3, 1] : [1, 1, 1];
        var later = counts.Select((count, call) => rows.Select((_, row) => subject.Rows[(row + call) % 3][2..(2 + count)]).ToArray()).ToArray();
        var together = Turns(runner, [rows, .. later]);
        for (var row = 0; row < rows.Length; row++)
        {
            var alone = Turns(runner, [.. later.Prepend(rows).Select(call => new[] { call[row] })]);
            for (var call = 0; call <= later.Length; call++)
            {
                var worst = Exports.Worst(alone[call][0], together[call][row]);
                Assert.True(worst <= Tolerance, $"row {row}, call {call + 1}: {worst}");
            }
        }
    }

    [SharedTheory, MemberData(nameof(Steered))]
    public void A_text_may_come_in_parts(string export, string how)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(Steer(subject, how));
        var row = subject.Rows[1];
        var parts = new[] { row[..5], row[5..6], row[6..10], row[10..] };
        var turns = Turns(runner, [.. parts.Select(part => new[] { part })]);
        // The same tokens at once are the same logits, where steering does not ask for a call's length or end.
        if (how.EndsWith("All", StringComparison.Ordinal) || how.EndsWith("Skip", StringComparison.Ordinal))
        {
            var whole = runner.Logits([row]);
            foreach (var (turn, end) in turns.Zip([5, 6, 10, 12]))
                Assert.InRange(Exports.Worst(whole.AsSpan((end - 1) * 512, 512), turn[0]), 0, Tolerance);
        }
        Assert.All(turns, turn => Assert.All(turn[0], logit => Assert.True(float.IsFinite(logit))));
    }

    [SharedTheory, MemberData(nameof(All))]
    public void A_prompt_of_one_token_is_a_prompt_among_longer_ones_only(string export)
    {
        var subject = Subject.Of(export);
        ImmutableArray<int>[] rows = [subject.Rows[0], subject.Rows[2][..1]];
        foreach (var (positions, isAlone) in new[] { (Positions.Prompt, false), (Positions.Generated, true) })
        {
            using var runner = new Runner(Exports.Patch(subject.Model, subject.Map(Kind.Affine, subject.Table.Matching(".*down_proj")), Mode.Baked, 1, positions));
            using var unsteered = new Runner(subject.Model);
            Assert.Equal(isAlone, Exports.Worst(unsteered.Logits([rows[1]]), runner.Logits([rows[1]])) > 0.1);
            Assert.Equal(!isAlone, Exports.Worst(unsteered.Logits(rows), runner.Logits(rows)) > 0.1);
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Captured_activations_of_a_batch_are_those_of_its_rows(string export)
    {
        var subject = Subject.Of(export);
        var rows = Ragged(subject);
        foreach (var pooling in Enum.GetValues<Pooling>())
        {
            SiteActivations[] Of(IReadOnlyList<ImmutableArray<int>> prompts, int size) =>
                [.. Capture.Run(subject.Model, subject.Table.Sites, prompts, new CaptureOptions { Pooling = pooling, BatchSize = size, Session = Runner.OneThread })];
            var (together, alone) = (Of(rows, 8), Of(rows, 1));
            Assert.Equal(103, together.Length);
            foreach (var (site, batch, single) in subject.Table.Sites.Zip(together, alone))
            {
                Assert.Equal(site.Name, batch.Site);
                var worst = Exports.WorstRow(single.Values.Values, batch.Values.Values, site.Channels);
                Assert.True(worst <= 1e-5, $"{site.Name}, {pooling}: {worst}");
            }
            // And of the whole values of a single row.
            var values = Exports.Activations(subject.Model, subject.Table.Sites, [rows[0]]);
            foreach (var (site, batch) in subject.Table.Sites.Zip(together))
                Assert.InRange(Exports.WorstRow(Pool(values[site.Name], site.Channels, pooling), batch.Values.Row(0), site.Channels), 0, 1e-5);
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void The_padding_side_is_read_off_the_graph(string export)
    {
        var subject = Subject.Of(export);
        var attention = subject.Model.Graph.Nodes.Any(node => node.Is("GroupQueryAttention"));
        var expected = attention ? PaddingSide.Right : PaddingSide.Left;
        Assert.Equal(!export.EndsWith("optimum", StringComparison.Ordinal), attention);
        Assert.Equal(expected, DecoderSignature.Of(subject.Model).Padding);
        // Steering and tapping leave it; so does taking all attention away for a capture of the first site.
        var steered = Exports.Patch(subject.Model, subject.Map(Kind.Bounded, subject.Table.Sites), Mode.Live, 1, Positions.Last);
        Assert.Equal(expected, DecoderSignature.Of(steered).Padding);
        var (pruned, _) = SiteTaps.Pooled(subject.Model, [subject.Table.Sites[0]], Pooling.Mean);
        Assert.DoesNotContain(pruned.Graph.Nodes, node => node.Is("GroupQueryAttention"));
        using var decoder = Decoder.Open(pruned, DecoderSignature.Of(subject.Model), Runner.OneThread);
        Assert.Equal(expected, decoder.Signature.Padding);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void The_mask_that_attention_by_length_gets_begins_with_ones(string export)
    {
        var subject = Subject.Of(export);
        var rows = Ragged(subject);
        // The mask itself as an output: what the runtime feeds.
        using var runner = new Runner(subject.Model.Apply(GraphPatch.Empty.Tap(subject.Model, new ValuePlace(Graph.MainPath, "attention_mask"), "tap")));
        using var state = runner.Decoder.Start(rows.Length);
        for (var call = 0; call < 3; call++)
        {
            var batch = runner.Batch(call == 0 ? rows : [.. rows.Select(_ => ImmutableArray.Create(5))]);
            using var mask = state.Run(batch, ["attention_mask"])[0];
            var (ones, columns) = (mask.Span<long>().ToArray(), (int)mask.Shape[1]);
            Assert.Equal(rows.Max(row => row.Length) + call, columns);
            for (var row = 0; row < rows.Length; row++)
            {
                var real = rows[row].Length + call;
                long[] expected = [.. Enumerable.Repeat(1L, real)], filling = new long[columns - real];
                Assert.Equal(export.EndsWith("optimum", StringComparison.Ordinal) ? [.. filling, .. expected] : [.. expected, .. filling], ones[(row * columns)..((row + 1) * columns)]);
            }
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void A_batch_goes_on_with_some_of_its_rows(string export)
    {
        var subject = Subject.Of(export);
        var rows = Ragged(subject);
        using var runner = new Runner(Exports.Patch(subject.Model, subject.Map(Kind.Affine, subject.Table.Matching(".*o_proj")), Mode.Live, 0));
        float[] strengths = [0.2f, 0.5f, 1, 1.5f];
        ImmutableArray<int>[] next = [[9], [19], [29], [39]];
        using var all = runner.Decoder.Start(4, Exports.Dial(strengths));
        using var some = runner.Decoder.Start(4, Exports.Dial(strengths));
        foreach (var state in new[] { all, some })
            Runner.Take(["logits"], state.Run(runner.Batch(rows), ["logits"]));
        some.Keep([3, 1]);
        Assert.Equal(Math.Max(rows[3].Length, rows[1].Length), some.Columns);
        Assert.Equal([rows[3].Length, rows[1].Length], [some.Count(0), some.Count(1)]);
        for (var call = 0; call < 2; call++)
        {
            var expected = Runner.Take(["logits"], all.Run(runner.Batch(next), ["logits"]))["logits"];
            var actual = Runner.Take(["logits"], some.Run(runner.Batch([next[3], next[1]]), ["logits"]))["logits"];
            Assert.InRange(Exports.Worst(expected.AsSpan(3 * 512, 512), actual.AsSpan(0, 512)), 0, Tolerance);
            Assert.InRange(Exports.Worst(expected.AsSpan(1 * 512, 512), actual.AsSpan(512, 512)), 0, Tolerance);
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Only_a_first_call_may_be_ragged(string export)
    {
        var subject = Subject.Of(export);
        using var runner = new Runner(subject.Model);
        using var state = runner.Decoder.Start(2);
        Runner.Take(["logits"], state.Run(runner.Batch([subject.Rows[0], subject.Rows[1][..4]]), ["logits"]));
        Assert.Throws<ArgumentException>(() => state.Run(runner.Batch([subject.Rows[0][..2], subject.Rows[1][..1]]), ["logits"]));
    }

    private static Model Steer(Subject subject, string how)
    {
        if (how.StartsWith("Unsteered", StringComparison.Ordinal))
            return subject.Model;
        // Bounded maps at several sites flip where rounding differs, so they are affine here; sums of all three hooks among them.
        var (mode, skips) = (Enum.Parse<Mode>(how.Split(' ')[0]), how.EndsWith("Skip", StringComparison.Ordinal));
        var options = new SteeringOptions { Mode = mode, Strength = 0.4f, Positions = skips ? Positions.All : Enum.Parse<Positions>(how.Split(' ')[1]), SkipFirst = skips };
        return subject.Model.Apply(Steering.Patch(subject.Model, subject.Map(Kind.Affine, subject.Table.Matching(@".*(layers\.[024]\.self_attn\.[qo]_proj|layers\.[134]|layers\.2\.residual_mid|layers\.3\.mlp)")), options));
    }

    // Whether a call is a prompt is told from its length: a prompt of one token is none when it is alone, and one in a batch
    // of longer ones. So there every row has two tokens at least.
    private static ImmutableArray<int>[] Ragged(Subject subject, string how = "All") =>
        [subject.Rows[0][..5], subject.Rows[1], subject.Rows[2][..(how.EndsWith("Prompt", StringComparison.Ordinal) || how.EndsWith("Generated", StringComparison.Ordinal) ? 2 : 1)], subject.Rows[2][..8]];

    // The last logits of each row in each call.
    private static List<float[][]> Turns(Runner runner, IReadOnlyList<ImmutableArray<int>[]> calls)
    {
        using var state = runner.Decoder.Start(calls[0].Length);
        var result = new List<float[][]>();
        foreach (var call in calls)
        {
            var batch = runner.Batch(call);
            var logits = Runner.Take(["logits"], state.Run(batch, ["logits"]))["logits"];
            result.Add([.. call.Select((_, row) => logits.AsSpan((row * batch.Columns + batch.Last(row)) * 512, 512).ToArray())]);
        }
        return result;
    }

    private static float[] Pool(float[] values, int channels, Pooling pooling) =>
        [.. Enumerable.Range(0, channels).Select(channel =>
        {
            var column = Enumerable.Range(0, values.Length / channels).Select(token => values[token * channels + channel]);
            return pooling switch { Pooling.Min => column.Min(), Pooling.Max => column.Max(), Pooling.Last => column.Last(), _ => (float)column.Average(value => (double)value) };
        })];
}
