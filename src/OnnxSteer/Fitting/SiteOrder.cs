using System.Collections.Immutable;
using System.Text;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>The order in which a causal fit takes its sites.</summary>
public static class SiteOrder
{
    private const int MaxBytes = 1 << 24;

    /// <summary>Reads a file that names each of some sites, or an alias, once; one a line, blank lines aside.</summary>
    /// <exception cref="OnnxException">A name is unknown or repeated, or a site is missing.</exception>
    public static ImmutableArray<Site> Read(string path, ImmutableArray<Site> sites)
    {
        if (!File.Exists(path) || new FileInfo(path).Length > MaxBytes)
            throw new OnnxException($"'{path}': {(File.Exists(path) ? $"the file is larger than {MaxBytes} bytes" : "there is no such file")}; a list of sites, one a line, was expected.");
        var order = ImmutableArray.CreateBuilder<Site>();
        foreach (var (number, line) in File.ReadAllLines(path, Encoding.UTF8).Index())
            if (line.Trim() is { Length: > 0 } name)
                order.Add(sites.FirstOrDefault(site => site.Names.Contains(name)) is not { } site
                    ? throw new OnnxException($"'{path}', line {number + 1}: '{name}' is none of the {sites.Length} sites to fit ({string.Join(", ", sites.Take(5).Select(other => $"'{other.Name}'"))}{(sites.Length > 5 ? ", ..." : "")}). Name the sites that --sites matches.")
                    : order.Contains(site) ? throw new OnnxException($"'{path}', line {number + 1}: '{name}' is there twice; each site is fitted once.") : site);
        return sites.Except(order).FirstOrDefault() is { } missing
            ? throw new OnnxException($"'{path}' lacks the site '{missing.Name}', and {sites.Length - order.Count - 1} others. Name every site to fit, or narrow --sites.")
            : order.ToImmutable();
    }
}
