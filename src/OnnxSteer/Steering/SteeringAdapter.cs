using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>Makes adapters for models that were patched in pack mode.</summary>
public static class SteeringAdapter
{
    /// <summary>What an adapter file holds that steers a packed model by a map. Sites that the map leaves out stay as they are.</summary>
    /// <param name="packed">A model with a patch of mode pack.</param>
    /// <param name="map">The map.</param>
    /// <param name="strength">λ.</param>
    /// <param name="label">Which patch, where there are several; null for the only one.</param>
    /// <param name="force">Take a map that was fitted on another model.</param>
    /// <exception cref="OnnxException">
    /// The model has no such patch, or the map steers a site that the patch has no parameters for, or within bounds where it has none.
    /// </exception>
    public static IReadOnlyList<AdapterParameter> Of(Model packed, SteeringMap map, float strength, string? label = null, bool force = false)
    {
        if (!float.IsFinite(strength))
            throw new OnnxException($"The strength {strength} is no finite number; 0 to 1 is usual.");
        var packs = PatchRecord.All(packed).Where(patch => patch.Properties.GetValueOrDefault("mode") == "pack").ToList();
        var found = packs.Where(patch => label is null || patch.Properties.GetValueOrDefault("pack") == label).ToList();
        if (found is not [var record])
            throw new OnnxException($"{packed.Source.Name}: {(found.Count == 0 ? "there is no" : "there is more than one")} patch of mode pack{(label is null ? "" : $" labelled '{label}'")} ({packs.Count} of that mode{(packs.Count == 0 ? "" : $": {string.Join(", ", packs.Select(patch => $"'{patch.Properties.GetValueOrDefault("pack")}'"))}")}). {(packs.Count == 0 ? "Patch the model with --mode pack first." : "Name it with --label.")}");
        var table = SiteTable.Of(packed);
        if (!force)
            Origin.Require(packed, table, Origin.Of(packed, table), map.Provenance.Fingerprint);
        var values = SteeredValue.Of(packed, table, [map]).Where(value => value.HasScale || value.HasShift).ToList();
        if (values.Exists(value => value.IsImage) && (record.Properties.GetValueOrDefault("method") == new LinearFit().Name) != values[0].ShiftsByMean)
            throw new OnnxException($"{packed.Source.Name}: the model was packed for maps of method '{record.Properties.GetValueOrDefault("method")}', and this one is of '{map.Provenance.Method}'; on feature maps they act in different ways. Pack the model with this map instead.");
        var parameters = values.SelectMany(value => PackMode.Adapt(value, record.Properties.GetValueOrDefault("pack") ?? "", strength), (value, parameter) => (value, parameter))
            .DistinctBy(entry => entry.parameter.Name).ToList();
        foreach (var (value, parameter) in parameters)
            if (packed.Graph.Inputs.FirstOrDefault(input => input.Name == parameter.Name) is not { } input || input.DataType != parameter.DataType)
                throw new OnnxException(parameter.Name.StartsWith("onnxsteer.lo", StringComparison.Ordinal) || parameter.Name.StartsWith("onnxsteer.hi", StringComparison.Ordinal)
                    ? $"{packed.Source.Name}: the map has bounds at {string.Join(", ", value.Sites)}, but the model was packed without: it has no input '{parameter.Name}'. Pack it with a map that has bounds there."
                    : $"{packed.Source.Name}: the model was packed for other sites than {string.Join(", ", value.Sites)}: it has no input '{parameter.Name}'. Pack it with a map of all sites that adapters are to steer.");
        return [.. parameters.Select(entry => entry.parameter)];
    }
}
