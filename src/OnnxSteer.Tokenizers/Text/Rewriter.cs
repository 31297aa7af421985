namespace OnnxSteer.Tokenizers;

/// <summary>Builds a text anew, scalar by scalar, each with how it stands to the source; follows the source from its start.</summary>
internal ref struct Rewriter
{
    private readonly NormalizedString source;
    private readonly ReadOnlySpan<char> span;
    private readonly NormalizedStringBuilder builder;
    private int at;

    /// <param name="source">The text to rewrite.</param>
    /// <param name="limit">How many units may come out of it.</param>
    public Rewriter(NormalizedString source, long limit = long.MaxValue)
    {
        this.source = source;
        span = source.Span;
        builder = new NormalizedStringBuilder(source.Length, limit);
    }

    /// <summary>Adds a scalar.</summary>
    /// <param name="scalar">The scalar.</param>
    /// <param name="change">0 in place of the next one of the source, -n in place of the next one and n more, above 0 beside the one before.</param>
    public void Add(int scalar, int change)
    {
        var range = (Start: 0, End: 0);
        if (change > 0)
        {
            if (at > 0)
                range = source.OriginalRange(Scalars.StartBefore(span, at), at);
        }
        else if (at < span.Length)
        {
            var length = Scalars.LengthAt(span, at);
            range = source.OriginalRange(at, at + length);
            at += length;
            Skip(-change);
        }
        builder.Append(scalar, range);
    }

    /// <summary>Leaves out scalars of the source.</summary>
    public void Skip(int count)
    {
        for (; count > 0 && at < span.Length; count--)
            at += Scalars.LengthAt(span, at);
    }

    public readonly NormalizedString Build() => builder.Build();
}
