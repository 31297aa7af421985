using OnnxSteer.Fixtures;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests;

/// <summary>Seven tokens at once, then five one by one with the returned cache, against the golden logits.</summary>
public sealed class DecodingTests
{
    public static TheoryData<string> AllFixtures => Exports.AllFixtures;

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void A_text_in_steps_has_the_logits_of_the_whole(string export)
    {
        using var golden = Exports.Golden(export);
        var (rows, expected) = (Exports.Rows(golden, "input_ids"), golden.ReadSingles("logits"));
        var width = expected.Length / rows.Sum(row => row.Length);
        using var runner = new Runner(Exports.Exact(export));
        using var state = runner.Decoder.Start(rows.Length);
        var actual = new float[expected.Length];
        foreach (var (start, end) in new[] { (0, 7), (7, 8), (8, 9), (9, 10), (10, 11), (11, 12) })
        {
            var logits = Runner.Take(["logits"], state.Run(runner.Batch([.. rows.Select(row => row[start..end])]), ["logits"]))["logits"];
            for (var row = 0; row < rows.Length; row++)
                logits.AsSpan(row * (end - start) * width, (end - start) * width).CopyTo(actual.AsSpan((row * rows[row].Length + start) * width));
        }
        if (Exports.ToleranceOf(export) is { } tolerance)
            Assert.InRange(Exports.WorstRow(expected, actual, width), 0, tolerance);
        else
            Assert.InRange(Exports.Cosine(expected, actual), Exports.SitesJson(export).GetProperty("decode_check").GetProperty("optimized").GetProperty("cosine").GetDouble() - 1e-3, 1.0001);
    }

    [SharedFact]
    public void Annotations_that_contradict_the_cache_are_dropped_where_there_are_any()
    {
        var wrong = Exports.Fixtures.ToDictionary(export => export, export => CacheAnnotations.Wrong(Exports.Open(export), DecoderSignature.Of(Exports.Open(export))).Length);
        Assert.Equal(["stories260k/genai-fp16"], wrong.Where(entry => entry.Value > 0).Select(entry => entry.Key));
        // As it is, it fails.
        using var session = Session.Open(Path.Combine(Exports.FolderOf("stories260k/genai-fp16"), "model.onnx"), Runner.OneThread);
        var inputs = session.Inputs.ToDictionary(input => input.Name, input => input.Name switch
        {
            "input_ids" or "position_ids" => OrtValue.FromMemory(new long[] { 1 }, 1, 1),
            "attention_mask" => OrtValue.FromMemory(new long[] { 1, 1, 1, 1 }, 1, 4),
            _ => OrtValue.Allocate(input.ElementType, 1, 4, 3, 8),
        });
        Assert.Throws<OrtException>(() => session.Run(inputs).Dispose());
        foreach (var input in inputs.Values)
            input.Dispose();
    }
}
