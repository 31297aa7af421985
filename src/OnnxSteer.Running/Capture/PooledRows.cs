using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>Takes pooled activations out of the outputs of a call.</summary>
internal static class PooledRows
{
    /// <summary>Copies a part of a site.</summary>
    /// <param name="pooled">What a call made, <c>[batch, width]</c>.</param>
    /// <param name="site">The site.</param>
    /// <param name="place">Which part of its columns this is, and where they belong in the site's channels.</param>
    /// <param name="prompts">The number of the prompt that each row is of, from 0.</param>
    /// <param name="rowOf">The row that the i-th of them takes.</param>
    /// <param name="values">Takes the rows, <c>[samples, channels]</c>.</param>
    /// <exception cref="OnnxException">A value is not finite.</exception>
    public static void Copy(OrtValue pooled, Site site, Place place, ImmutableArray<int> prompts, Func<int, int> rowOf, float[] values)
    {
        var width = (int)pooled.Shape[^1];
        var from = place.At.Range?.Start ?? 0;
        var to = place.ModuleRange?.Start ?? 0;
        var count = place.At.Range?.Length ?? place.ModuleRange?.Length ?? site.Channels;
        for (var i = 0; i < prompts.Length; i++)
        {
            var row = values.AsSpan(rowOf(i) * site.Channels + to, count);
            pooled.CopySingles((long)i * width + from, row);
            for (var channel = 0; channel < count; channel++)
                if (!float.IsFinite(row[channel]))
                    throw new OnnxException($"The pooled activation of site '{site.Name}' in prompt {prompts[i] + 1}, channel {to + channel} is {row[channel]}; expected a finite number. Leave the prompt out, or take a model of wider precision.");
        }
    }
}
