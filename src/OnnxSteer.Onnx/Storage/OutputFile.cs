namespace OnnxSteer.Onnx.Storage;

/// <summary>Keeps results from being written over what they are made of.</summary>
public static class OutputFile
{
    // What earlier calls wrote.
    private static readonly string[] Results = [".safetensors", ".onnx_adapter"];

    /// <summary>Makes sure that writing a file changes neither a model, nor what lies beside it, nor another input.</summary>
    /// <param name="output">The file to write.</param>
    /// <param name="model">The model that is read.</param>
    /// <param name="inputs">Other files that are read.</param>
    /// <exception cref="OnnxException">The file is one of them, links resolved.</exception>
    public static void Check(string output, Model model, params IEnumerable<string> inputs)
    {
        var target = RealFile.PathOf(output);
        if (inputs.FirstOrDefault(input => RealFile.PathOf(input) == target) is { } same)
            throw new OnnxException($"{output}: this is the input '{same}', which is never written to. Name another file.");
        var isModel = target == RealFile.PathOf(model.Source.Name)
            || ExternalData.Files(model).Any(file => RealFile.PathOf(file) == target);
        // Results of earlier calls may lie beside a model; its tokenizer and configuration do.
        var isBeside = File.Exists(target) && model.Folder is { } folder && Path.GetDirectoryName(target) == RealFile.PathOf(folder)
            && !Results.Any(end => target.EndsWith(end, StringComparison.OrdinalIgnoreCase));
        if (isModel || isBeside)
            throw new OnnxException($"{output}: this belongs to the source model, which is never written to. Name another file.");
    }
}
