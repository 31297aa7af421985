using System.Xml.Linq;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>The rooms and the arrows between them.</summary>
public sealed class ArchitectureTests
{
    // What each room may see. References are not transitive, so the compiler holds everyone to its own line.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["OnnxSteer.Onnx"] = [],
        ["OnnxSteer"] = ["OnnxSteer.Onnx"],
        ["OnnxSteer.Tokenizers"] = [],
        ["OnnxSteer.Ort"] = [],
        ["OnnxSteer.Running"] = ["OnnxSteer.Onnx", "OnnxSteer", "OnnxSteer.Ort", "OnnxSteer.Tokenizers"],
        ["OnnxSteer.Testing"] = ["OnnxSteer.Onnx", "OnnxSteer", "OnnxSteer.Ort", "OnnxSteer.Tokenizers", "OnnxSteer.Running"],
        ["OnnxSteer.Cli"] = ["OnnxSteer.Onnx", "OnnxSteer", "OnnxSteer.Ort", "OnnxSteer.Tokenizers", "OnnxSteer.Running", "OnnxSteer.Testing"],
    };

    public static TheoryData<string> Rooms => [.. Allowed.Keys];

    [Theory, MemberData(nameof(Rooms))]
    public void A_room_names_only_the_rooms_below_it(string room) =>
        Assert.Subset(Allowed[room].ToHashSet(), Elements(room, "ProjectReference").Select(path => Path.GetFileNameWithoutExtension(path)).ToHashSet());

    [Fact]
    public void Every_room_is_known_here() =>
        Assert.Equal(Allowed.Keys.Order(), Directory.GetDirectories(Path.Combine(Folders.Root, "src")).Select(Path.GetFileName).Order());

    [Fact]
    public void References_do_not_reach_through_rooms()
    {
        var settings = XDocument.Load(Path.Combine(Folders.Root, "Directory.Build.props"));
        Assert.Equal("true", settings.Descendants("DisableTransitiveProjectReferences").Single().Value);
    }

    [Theory, MemberData(nameof(Rooms))]
    public void Only_the_binding_is_unsafe(string room)
    {
        var isUnsafe = XDocument.Load(Project(room)).Descendants("AllowUnsafeBlocks").Any(setting => setting.Value == "true");
        Assert.Equal(room == "OnnxSteer.Ort", isUnsafe);
    }

    [Theory, MemberData(nameof(Rooms))]
    public void Versions_of_packages_stand_in_one_place(string room) =>
        Assert.DoesNotContain(XDocument.Load(Project(room)).Descendants("PackageReference"), package => package.Attribute("Version") is not null);

    private static IEnumerable<string> Elements(string room, string kind) =>
        XDocument.Load(Project(room)).Descendants(kind).Select(element => element.Attribute("Include")!.Value.Replace('\\', '/'));

    private static string Project(string room) => Path.Combine(Folders.Root, "src", room, $"{room}.csproj");
}
