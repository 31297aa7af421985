using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Tests;

/// <summary>The program in the README, to the letter.</summary>
internal static class ReadmeSample
{
    public static void Run()
    {
        #region README
        var model = ModelFile.Open("models/stories260k/optimum");                 // weights stay in the file
        var sites = SiteTable.Of(model).Matching(".*o_proj");                     // what can be steered

        var source = Capture.Run(model, sites, PromptFile.Read("models/prompts/source.txt"));
        var target = Capture.Run(model, sites, PromptFile.Read("models/prompts/target.txt"));
        var map = Fit.Linear(source, target).Map;

        var patch = Steering.Patch(model, map, new SteeringOptions { Mode = Mode.Live, Strength = 0.7f });   // a value: print it, test it
        SteeredFolder.Write(model, patch, "steered");                             // complete or absent; any ONNX Runtime runs it
        #endregion
    }
}
