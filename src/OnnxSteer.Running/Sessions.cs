using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>Opens models of the graph room in ONNX Runtime.</summary>
public static class Sessions
{
    /// <summary>
    /// Opens a model: from its file if it is one as it is, else from memory, with external data where they lie. Where a patch
    /// brings data files along that are not written yet, all data are read into memory: the runtime takes all files from there or none.
    /// </summary>
    /// <exception cref="OrtException">ONNX Runtime does not take the model.</exception>
    public static Session Open(Model model, SessionOptions? options = null) =>
        model.Path is { } path ? Session.Open(path, options)
        : Session.Open(model.Source.ToArray(), options, model.Folder, model.NewFiles.IsEmpty ? null : model.DataFiles().ToDictionary(file => file.Key, file => file.Value.ToArray()));
}
