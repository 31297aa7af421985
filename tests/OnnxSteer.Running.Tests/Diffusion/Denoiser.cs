using System.Collections.Concurrent;
using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>Numbers and their shape, row-major.</summary>
internal sealed record Values(float[] Data, long[] Shape);

/// <summary>A diffusion fixture, opened once: its sites, the inputs its goldens were made with, and what it gives for them.</summary>
internal sealed class Denoiser
{
    private static readonly ConcurrentDictionary<string, Lazy<Denoiser>> Known = new();
    private readonly Lazy<Dictionary<string, Values>> _values;

    private Denoiser(string name)
    {
        Name = name;
        var root = Folders.InShared("models", "diffusion", name);
        var unet = Path.Combine(root, "unet");
        Model = ModelFile.Open(Directory.Exists(unet) ? unet : Path.Combine(root, "transformer"));
        Table = SiteTable.Of(Model);
        SitesJson = JsonDocument.Parse(File.ReadAllBytes(name == "shapes32" ? Path.Combine(root, "golden", "sites.json") : Path.Combine(root, "sites.json"))).RootElement;
        Tolerance = SitesJson.GetProperty("tolerance").GetDouble();
        Inputs = ReadInputs(root);
        _values = new(() => Activations(Model, Table.Sites));
    }

    /// <summary>Every fixture.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "shapes32", "shapes32-fp16", "shapes32-dynamo", "shapes32-optimized", "shapes32-dit",
        "tiny/sd15-unet", "tiny/sd15-unet-dynamo", "tiny/sd15-unet-optimized", "tiny/sdxl-unet", "tiny/sd3-transformer", "tiny/flux-transformer",
        "pipelines/sd15-pndm", "pipelines/sdxl", "pipelines/sd3", "pipelines/flux", "pipelines/flux/schnell",
    ];

    public string Name { get; }

    public Model Model { get; }

    public SiteTable Table { get; }

    public JsonElement SitesJson { get; }

    /// <summary>Whether the weights are float16.</summary>
    public bool IsHalf => Table.Sites.Any(site => site.DataType == DataType.Float16);

    /// <summary>As its README states.</summary>
    public double Tolerance { get; }

    /// <summary>Inputs by name; integers as they are.</summary>
    public IReadOnlyDictionary<string, (Array Data, long[] Shape)> Inputs { get; }

    public int Rows => (int)Inputs.First(input => input.Value.Shape.Length > 2).Value.Shape[0];

    public string Output => Model.Graph.Outputs[0].Name;

    /// <summary>Every site's value on the inputs, and the output's, unsteered, from one run with all sites tapped.</summary>
    public Dictionary<string, Values> Unsteered => _values.Value;

    public static Denoiser Of(string name) => Known.GetOrAdd(name, key => new Lazy<Denoiser>(() => new Denoiser(key))).Value;

    /// <summary>The model with sites' values among its outputs, run once; the model's own output under its name.</summary>
    public Dictionary<string, Values> Activations(Model model, IEnumerable<Site> sites, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        var (patch, taps) = SiteTaps.Whole(model, sites);
        var values = Run(patch.Edits.IsEmpty ? model : model.Apply(patch), [Output, .. taps.SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct()], dials);
        var result = taps.ToDictionary(tap => tap.Site.Name, tap => values[tap.Parts[0].Output]);
        result[Output] = values[Output];
        return result;
    }

    /// <summary>One run with default optimizations on one thread.</summary>
    public Dictionary<string, Values> Run(Model model, IEnumerable<string> outputs, IReadOnlyDictionary<string, float[]>? dials = null, Adapter? adapter = null)
    {
        using var session = Open(model);
        return Run(session, Inputs, outputs, dials, adapter);
    }

    /// <summary>A session on one thread.</summary>
    public static Session Open(Model model) => Sessions.Open(ContribLowering.Lower(model), Runner.OneThread);

    public static Dictionary<string, Values> Run(
        Session session, IReadOnlyDictionary<string, (Array Data, long[] Shape)> inputs, IEnumerable<string> outputs, IReadOnlyDictionary<string, float[]>? dials = null,
        Adapter? adapter = null)
    {
        var feeds = session.Inputs.ToDictionary(input => input.Name, input => Feed(input, inputs[input.Name]));
        foreach (var (name, numbers) in dials ?? new Dictionary<string, float[]>())
            feeds[name] = Feed(session.OverridableInitializers.Single(input => input.Name == name), (numbers, [numbers.Length]));
        var options = adapter is null ? null : new RunOptions { Adapters = [adapter] };
        try
        {
            string[] names = [.. outputs.Distinct()];
            using var results = session.Run(feeds, names, options);
            return names.ToDictionary(name => name, name => new Values(results[name].ToSingles(), results[name].Shape.ToArray()));
        }
        finally
        {
            foreach (var feed in feeds.Values)
                feed.Dispose();
        }
    }

    public static Model Patch(Model model, SteeringMap map, Mode mode, float strength) =>
        model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = mode, Strength = strength }));

    private static OrtValue Feed(Ort.ValueInfo input, (Array Data, long[] Shape) given)
    {
        long[] shape = input.Dimensions.Count == 0 ? [] : given.Shape;
        return (input.ElementType, given.Data) switch
        {
            (ElementType.Float16, float[] data) => OrtValue.FromMemory(data.Select(number => (Half)number).ToArray(), shape),
            (ElementType.Int64, float[] data) => OrtValue.FromMemory(data.Select(number => (long)number).ToArray(), shape),
            (_, float[] data) => OrtValue.FromMemory(data, shape),
            (_, long[] data) => OrtValue.FromMemory(data, shape),
            _ => throw new NotSupportedException(input.ToString()),
        };
    }

    private Dictionary<string, (Array, long[])> ReadInputs(string root)
    {
        if (Name.StartsWith("tiny/", StringComparison.Ordinal))
        {
            using var golden = SafetensorsFile.Open(Path.Combine(root, "golden.safetensors"));
            return golden.Tensors.Where(tensor => tensor.Name.StartsWith("in.", StringComparison.Ordinal)).ToDictionary(tensor => tensor.Name[3..], tensor => Read(golden, tensor.Name));
        }
        if (Name == "shapes32-dit")
        {
            using var golden = SafetensorsFile.Open(Path.Combine(root, "golden.safetensors"));
            return Steps(golden, "steps.", 5, "hidden_states", repeatsTimestep: true);
        }
        if (!Name.StartsWith("pipelines/", StringComparison.Ordinal))
        {
            using var steps = SafetensorsFile.Open(Folders.InShared("models", "diffusion", "shapes32", "golden", "unet_steps.safetensors"));
            return Steps(steps, "", 5, "sample", repeatsTimestep: false);
        }
        return Pipeline(root);
    }

    /// <summary>One step of a recorded run, both halves.</summary>
    public static Dictionary<string, (Array, long[])> Steps(SafetensorsFile file, string prefix, int step, string sample, bool repeatsTimestep)
    {
        var inputs = file.Tensors.Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal) && tensor.Shape.Length <= 3 && tensor.Shape[0] == 2)
            .ToDictionary(tensor => tensor.Name[prefix.Length..], tensor => Read(file, tensor.Name));
        var (states, time) = (file[$"{prefix}{sample}"], file.ReadSingles($"{prefix}timestep")[step]);
        var size = (int)states.Shape.Skip(1).Aggregate(1L, (product, axis) => product * axis);
        inputs[sample] = (file.ReadSingles($"{prefix}{sample}")[(step * size)..((step + 1) * size)], [.. states.Shape.Skip(1)]);
        inputs["timestep"] = repeatsTimestep ? (new[] { time, time }, [2]) : (new[] { time }, [1]);
        return inputs;
    }

    // The first call of the case 'main'; under guidance the negative prompts' rows come first.
    private Dictionary<string, (Array, long[])> Pipeline(string root)
    {
        using var golden = SafetensorsFile.Open(Path.Combine(root, "golden.safetensors"));
        var (sample, rows) = Read(golden, "main.model_input_0") is var input ? (input, input.Shape[0]) : default;
        var inputs = new Dictionary<string, (Array, long[])>();
        foreach (var name in Model.Graph.Inputs.Where(value => Model.Graph.Initializer(value.Name) is null).Select(value => value.Name))
            inputs[name] = name switch
            {
                "sample" or "hidden_states" => sample,
                "encoder_hidden_states" => Both(golden, "prompt_embeds", rows),
                "text_embeds" or "pooled_projections" => Both(golden, "pooled_prompt_embeds", rows),
                "timestep" when golden.Tensors.Any(tensor => tensor.Name == "main.timestep_input") => (golden.ReadSingles("main.timestep_input")[..(int)rows], [rows]),
                "timestep" => (Enumerable.Repeat(golden[$"main.timesteps"].Type == SafetensorsType.I64 ? golden.ReadIntegers("main.timesteps")[0] : golden.ReadSingles("main.timesteps")[0], Name.EndsWith("sd3", StringComparison.Ordinal) ? (int)rows : 1).ToArray(),
                    [Name.EndsWith("sd3", StringComparison.Ordinal) ? rows : 1]),
                _ => Read(golden, $"main.{name}"),
            };
        return inputs;
    }

    private static (Array, long[]) Both(SafetensorsFile golden, string name, long rows)
    {
        var (positive, shape) = Read(golden, $"main.{name}");
        if (shape[0] == rows)
            return (positive, shape);
        return (golden.ReadSingles($"main.negative_{name}").Concat((float[])positive).ToArray(), [rows, .. shape[1..]]);
    }

    private static (Array Data, long[] Shape) Read(SafetensorsFile file, string name) =>
        (file[name].Type == SafetensorsType.I64 ? file.ReadIntegers(name) : file.ReadSingles(name), [.. file[name].Shape]);
}
