using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>Takes pooled activations out of the outputs of a call.</summary>
internal static class PooledRows
{
    /// <summary>Copies a part of a site.</summary>
    /// <param name="pooled">What a call made, <c>[batch, width]</c>.</param>
    /// <param name="place">Which part of its columns this is, and where they belong in the site's channels.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="rowOf">The row that the i-th of them takes.</param>
    /// <param name="values">Takes the rows, <c>[samples, channels]</c>.</param>
    /// <param name="channels">The site's channels.</param>
    public static void Copy(OrtValue pooled, Place place, int rows, Func<int, int> rowOf, float[] values, int channels)
    {
        var width = (int)pooled.Shape[^1];
        var from = place.At.Range?.Start ?? 0;
        var to = place.ModuleRange?.Start ?? 0;
        var count = place.At.Range?.Length ?? place.ModuleRange?.Length ?? channels;
        for (var i = 0; i < rows; i++)
            pooled.CopySingles((long)i * width + from, values.AsSpan(rowOf(i) * channels + to, count));
    }
}
