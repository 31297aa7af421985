using System.CommandLine;
using System.Globalization;
using OnnxSteer.Generate;

var output = new Option<DirectoryInfo>("--out") { Description = "The folder to write.", Required = true };
var inline = new Option<string?>("--inline") { Description = "A decoder with that many bytes of weights in the model file: 500MB, 1.9GB." };
var external = new Option<string?>("--external") { Description = "A decoder with that many bytes of weights beside the model file." };
var shards = new Option<int>("--shards") { Description = "Files that external weights are spread over.", DefaultValueFactory = _ => 1 };
var nodes = new Option<int?>("--nodes") { Description = "About as many nodes." };
var hostile = new Option<int>("--hostile") { Description = "As many random models in odd encodings, model-SEED.onnx, with their external data." };
var kinds = new Option<bool>("--kinds") { Description = "One small model of each kind that has no fixture: bfloat16, functions, Loop, Scan." };
var seed = new Option<int>("--seed") { Description = "The first seed of --hostile." };
var command = new RootCommand("Makes synthetic ONNX models.") { output, inline, external, shards, nodes, hostile, kinds, seed };
command.SetAction(call =>
{
    var folder = call.GetRequiredValue(output).FullName;
    if (call.GetValue(inline) is not null || call.GetValue(external) is not null || call.GetValue(nodes) is not null)
    {
        var options = new BigModelOptions { Shards = call.GetValue(external) is null ? 0 : call.GetValue(shards) };
        if ((call.GetValue(external) ?? call.GetValue(inline)) is { } size)
            options = options with { Bytes = Bytes(size) };
        if (call.GetValue(nodes) is { } count)
            options = options with { Nodes = count };
        BigModel.Write(folder, options);
    }
    if (call.GetValue(hostile) is var models and > 0)
        RandomModel.Write(folder, call.GetValue(seed), models);
    if (call.GetValue(kinds))
        Kinds.Write(folder);
});
return command.Parse(args).Invoke();

static long Bytes(string size)
{
    var digits = size.TrimEnd('B', 'b', 'K', 'k', 'M', 'm', 'G', 'g');
    var unit = char.ToUpperInvariant(size[digits.Length..].FirstOrDefault()) switch { 'G' => 1e9, 'M' => 1e6, 'K' => 1e3, _ => 1 };
    return (long)(double.Parse(digits, CultureInfo.InvariantCulture) * unit);
}
