using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>A language model, or the part of one that a patch left, ready to run. Safe to use from several threads.</summary>
public sealed class Decoder : IDisposable
{
    private Decoder(Session session, DecoderSignature signature, DecoderConfig config) =>
        (Session, Signature, Config) = (session, signature, config);

    /// <summary>The ONNX Runtime session.</summary>
    public Session Session { get; }

    /// <summary>What its inputs and outputs are for.</summary>
    public DecoderSignature Signature { get; }

    /// <summary>What the files beside it say.</summary>
    public DecoderConfig Config { get; }

    /// <summary>Opens a model, from its file where it is one, else from memory with its external data where they lie.</summary>
    /// <exception cref="OnnxException">No language model, or one with an input of unknown use.</exception>
    /// <exception cref="OrtException">ONNX Runtime does not take the model.</exception>
    public static Decoder Open(Model model, SessionOptions? options = null) => Open(model, DecoderSignature.Of(model), options);

    /// <summary>As <see cref="Open(Model, SessionOptions?)"/>, for what pruning left of a model of that signature.</summary>
    public static Decoder Open(Model model, DecoderSignature signature, SessionOptions? options = null)
    {
        var config = DecoderConfig.Of(model);
        // A copy in memory: the file stays as it is.
        var session = Sessions.Open(CacheAnnotations.Wrong(model, signature) is { Length: > 0 } wrong ? model.Apply(GraphPatch.Empty.With(wrong)) : model, options);
        try
        {
            var known = signature.Cache.Select(tensor => tensor.Past)
                .Concat(new[] { signature.InputIds, signature.AttentionMask, signature.PositionIds, signature.UseCacheBranch, SiteTaps.PooledTokens }.OfType<string>()).ToHashSet();
            if (session.Inputs.FirstOrDefault(input => !known.Contains(input.Name)) is { } unknown)
                throw new OnnxException($"{model.Source.Name}: the input '{unknown}' is none that this runtime knows how to feed (token ids, mask, positions, cache).");
            return new Decoder(session, signature, config);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>A batch of sequences without tokens yet.</summary>
    /// <param name="rows">How many sequences.</param>
    /// <param name="dials">Values for overridable inputs by name, such as <c>onnxsteer.strength</c>: one, or one a row.</param>
    /// <param name="adapters">Adapters that steer a packed model; none leave it as it was.</param>
    public DecoderState Start(int rows, IReadOnlyDictionary<string, float[]>? dials = null, IReadOnlyList<Adapter>? adapters = null) => new(this, rows, dials, adapters);

    /// <inheritdoc/>
    public void Dispose() => Session.Dispose();
}
