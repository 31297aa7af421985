using System.Collections.Immutable;
using System.Numerics.Tensors;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>Why a text ended.</summary>
public enum Finish
{
    /// <summary>The model gave an end token.</summary>
    Eos,

    /// <summary>As many tokens as asked for.</summary>
    Length,

    /// <summary>The model's context is full.</summary>
    Context,
}

/// <summary>How texts are generated.</summary>
public sealed record GenerationOptions
{
    /// <summary>At most so many new tokens.</summary>
    public int MaxNewTokens { get; init; } = 64;

    /// <summary>How tokens are drawn; null for the likeliest.</summary>
    public Sampling? Sampling { get; init; }

    /// <summary>Go on behind end tokens.</summary>
    public bool IgnoreEos { get; init; }

    /// <summary>Values for overridable inputs by name, such as <c>onnxsteer.strength</c>: one, or one a row.</summary>
    public IReadOnlyDictionary<string, float[]> Dials { get; init; } = ImmutableDictionary<string, float[]>.Empty;

    /// <summary>Adapters that steer a packed model.</summary>
    public IReadOnlyList<Adapter> Adapters { get; init; } = [];
}

/// <summary>What was generated for one prompt.</summary>
/// <param name="Ids">The new tokens; an end token is the last of them.</param>
/// <param name="Finish">Why it ended.</param>
public sealed record Completion(ImmutableArray<int> Ids, Finish Finish);

/// <summary>Generates token by token with the key-value cache.</summary>
public static class Generation
{
    /// <summary>Continues a batch of prompts.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="prompts">Token ids of each prompt, special tokens included; none may be empty.</param>
    /// <param name="options">How.</param>
    /// <param name="onToken">Called with row and token as they come, for streaming.</param>
    /// <param name="firstRow">Number of the first row among all that are generated, for the draw of each row.</param>
    /// <param name="cancel">Ends the generation.</param>
    /// <exception cref="OnnxException">A prompt is empty, too long for the context, or the model has no logits.</exception>
    public static IReadOnlyList<Completion> Generate(
        this Decoder decoder, IReadOnlyList<ImmutableArray<int>> prompts, GenerationOptions options, Action<int, int>? onToken = null, int firstRow = 0,
        CancellationToken cancel = default)
    {
        var logitsName = decoder.Signature.Logits ?? throw new OnnxException("The model has no output 'logits', so it cannot generate.");
        Check(decoder, prompts, options);
        using var state = decoder.Start(prompts.Count, options.Dials, options.Adapters);
        var ids = prompts.Select(prompt => ImmutableArray.CreateBuilder<int>()).ToArray();
        var finish = new Finish?[prompts.Count];
        var randoms = prompts.Select((_, row) => options.Sampling?.RandomFor(firstRow + row)).ToArray();
        var rows = Enumerable.Range(0, prompts.Count).ToArray();
        for (var step = 0; step < options.MaxNewTokens && finish.Contains(null); step++)
        {
            cancel.ThrowIfCancellationRequested();
            // The cache grows with every call, for finished rows too; before it is full, they go.
            if (state.Columns >= decoder.Config.ContextLength)
            {
                var going = Enumerable.Range(0, rows.Length).Where(i => finish[rows[i]] is null).ToArray();
                state.Keep(going);
                rows = [.. going.Select(i => rows[i])];
            }
            var batch = new TokenBatch([.. rows.Select(row => Next(row, step))], decoder.Signature.Padding, decoder.Config.PadId);
            using var logits = state.Run(batch, [logitsName], cancel)[0];
            for (var i = 0; i < rows.Length; i++)
                if (finish[rows[i]] is null)
                    Accept(rows[i], Choose(logits, batch, i, rows[i], options.Sampling, randoms[rows[i]]));
        }
        return [.. ids.Select((tokens, row) => new Completion(tokens.ToImmutable(), finish[row] ?? Finish.Length))];

        // Without a cache every call begins anew.
        ImmutableArray<int> Next(int row, int step) =>
            step == 0 || decoder.Signature.Cache.IsEmpty ? prompts[row].AddRange(ids[row]) : [finish[row] is null ? ids[row][^1] : decoder.Config.PadId];

        void Accept(int row, int token)
        {
            ids[row].Add(token);
            onToken?.Invoke(row, token);
            finish[row] = !options.IgnoreEos && decoder.Config.EosIds.Contains(token) ? Finish.Eos
                : prompts[row].Length + ids[row].Count >= decoder.Config.ContextLength ? Finish.Context : null;
        }
    }

    private static int Choose(OrtValue logits, TokenBatch batch, int row, int prompt, Sampling? sampling, Random? random)
    {
        // Some graphs give the logits of the last token only.
        var shape = logits.Shape;
        var (columns, vocabulary) = ((int)shape[^2], (int)shape[^1]);
        var values = new float[vocabulary];
        logits.CopySingles(((long)row * columns + (columns == 1 ? 0 : batch.Last(row))) * vocabulary, values);
        // A logit of negative infinity forbids a token; the largest is NaN where any is.
        if (TensorPrimitives.Max<float>(values) is var largest && !float.IsFinite(largest))
            throw new OnnxException($"The largest logit behind prompt {prompt + 1} is {largest}, a finite number was expected: the strength is too high, or the model is damaged.");
        return sampling is null ? TensorPrimitives.IndexOfMax<float>(values) : sampling.Draw(values, random!);
    }

    private static void Check(Decoder decoder, IReadOnlyList<ImmutableArray<int>> prompts, GenerationOptions options)
    {
        if (options.Sampling is { } sampling && (!(sampling.Temperature > 0) || !(sampling.TopP > 0) || sampling.TopP > 1 || sampling.TopK < 0))
            throw new OnnxException($"The sampling options {sampling} are out of range: a temperature above 0, top-p above 0 and up to 1, and top-k of 0 or more were expected.");
        var vocabulary = decoder.Session.Outputs.First(output => output.Name == decoder.Signature.Logits).Dimensions is [.., { Size: { } size }] ? size : (long?)null;
        TokenizedPrompts.Check(prompts, vocabulary, decoder.Config.ContextLength - 1);
    }
}
