using System.Numerics.Tensors;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Benchmarks;

internal static class DecodingBenchmark
{
    private const int PromptLength = 8;

    public static IEnumerable<Comparison> Run(int rounds)
    {
        foreach (var (name, folder) in Workbench.Models())
        {
            var model = Workbench.Open(folder);
            var tokens = name.StartsWith("stories", StringComparison.Ordinal) ? 200 : 24;
            using var plain = Decoder.Open(model, Workbench.OneThread);
            using var baked = Decoder.Open(Workbench.Steer(model, Mode.Baked), Workbench.OneThread);
            using var live = Decoder.Open(Workbench.Steer(model, Mode.Live), Workbench.OneThread);
            yield return SideBySide.Run($"{name}, {tokens} tokens", rounds,
                ("bare loop", () => BareLoop(plain, tokens)),
                ("bare loop, baked", () => BareLoop(baked, tokens)),
                ("bare loop, live", () => BareLoop(live, tokens)),
                ("ours", () => Ours(plain, tokens)),
                ("ours, baked", () => Ours(baked, tokens)),
                ("ours, live", () => Ours(live, tokens)));
        }
    }

    private static void Ours(Decoder decoder, int tokens) =>
        decoder.Generate([Workbench.Prompt(PromptLength, 1)], new GenerationOptions { MaxNewTokens = tokens, IgnoreEos = true });

    // What a product would write by hand against the session: prepared inputs, the cache passed on, the largest logit.
    private static void BareLoop(Decoder decoder, int tokens)
    {
        var (session, signature) = (decoder.Session, decoder.Signature);
        var mask = new long[PromptLength + tokens];
        mask.AsSpan().Fill(1);
        long[] ids = [.. Workbench.Prompt(PromptLength, 1).Select(id => (long)id)], position = [.. Enumerable.Range(0, PromptLength)];
        var hasPositions = signature.PositionIds is not null;
        string[] inputs = [signature.InputIds, signature.AttentionMask!, .. hasPositions ? [signature.PositionIds!] : Array.Empty<string>(), .. signature.Cache.Select(tensor => tensor.Past)];
        string[] outputs = [signature.Logits!, .. signature.Cache.Select(tensor => tensor.Present)];
        var first = inputs.Length - signature.Cache.Length;
        var (values, results) = (new OrtValue[inputs.Length], new OrtValue?[outputs.Length]);
        for (var i = 0; i < signature.Cache.Length; i++)
            values[first + i] = OrtValue.Allocate(ElementTypeOf(signature.Cache[i].DataType), 1, (signature.Cache[i].Heads ?? decoder.Config.KeyValueHeads)!.Value, 0, (signature.Cache[i].HeadSize ?? decoder.Config.HeadSize)!.Value);
        for (var step = 0; step < tokens; step++)
        {
            var past = step == 0 ? 0 : PromptLength + step - 1;
            values[0] = OrtValue.FromMemory(ids, 1, ids.Length);
            values[1] = OrtValue.FromMemory(mask.AsMemory(0, past + ids.Length), 1, past + ids.Length);
            if (hasPositions)
                values[2] = OrtValue.FromMemory(position, 1, position.Length);
            Array.Clear(results);
            session.Run(inputs, values, outputs, results);
            foreach (var value in values)
                value.Dispose();
            var logits = results[0]!.Span<float>();
            var vocabulary = (int)results[0]!.Shape[^1];
            (ids, position) = ([TensorPrimitives.IndexOfMax(logits[^vocabulary..])], [past + ids.Length]);
            results[0]!.Dispose();
            for (var i = 0; i < signature.Cache.Length; i++)
                values[first + i] = results[1 + i]!;
        }
        foreach (var value in values.AsSpan(first))
            value.Dispose();
    }

    private static ElementType ElementTypeOf(DataType type) => (ElementType)(int)type;
}
