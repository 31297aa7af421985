namespace OnnxSteer.Cli;

/// <summary>Steps that several commands share.</summary>
internal static class Work
{
    public static void WarnOfLinks(Terminal terminal, bool link)
    {
        if (link)
            terminal.Warn("hard links make the Python onnx library from 1.21 on refuse this folder and the original; ONNX Runtime takes both.");
    }
}
