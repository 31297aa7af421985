using System.Reflection;

namespace OnnxSteer.Fixtures;

/// <summary>Where tests find their inputs: the checkout, and the reference data beside it.</summary>
public static class Folders
{
    /// <summary>The checkout: the nearest folder above the test's binary that holds the solution.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Models that belong to the project.</summary>
    public static string Models => Path.Combine(Root, "models");

    /// <summary>Reference data beside the checkout; users do not have it.</summary>
    public static string Shared => Path.GetFullPath(Path.Combine(Root, "..", "shared"));

    /// <summary>Whether the reference data is there.</summary>
    public static bool HasShared => Directory.Exists(Shared);

    /// <summary>A path below the reference data.</summary>
    public static string InShared(params string[] parts) => Path.Combine([Shared, .. parts]);

    private static string FindRoot()
    {
        for (var folder = Path.GetDirectoryName(Assembly.GetExecutingAssembly().Location); folder is not null; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, "OnnxSteer.sln")))
                return folder;
        throw new DirectoryNotFoundException("No folder above the tests holds OnnxSteer.sln.");
    }
}

/// <summary>A test that needs the reference data: skipped, with the reason, where that is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SharedFactAttribute : FactAttribute
{
    public SharedFactAttribute() => Skip = Folders.HasShared ? null : SharedReason.Text;
}

/// <summary>A theory that needs the reference data: skipped, with the reason, where that is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SharedTheoryAttribute : TheoryAttribute
{
    public SharedTheoryAttribute() => Skip = Folders.HasShared ? null : SharedReason.Text;
}

internal static class SharedReason
{
    public const string Text = "needs the reference data in ../shared";
}
