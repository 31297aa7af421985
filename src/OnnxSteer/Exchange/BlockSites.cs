using System.Globalization;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>The outputs of a model's blocks by their number, which is how files of vectors name places.</summary>
internal sealed class BlockSites
{
    /// <summary>In a pattern of site names, the block's number.</summary>
    public const string Number = "{0}";

    private readonly Model _model;
    private readonly SiteTable _table;
    private readonly ILookup<int, Site> _blocks;

    public BlockSites(Model model, SiteTable table)
    {
        (_model, _table) = (model, table);
        _blocks = table.Sites.Where(site => SiteNotes.KindOf(site.Name) == "block")
            .ToLookup(site => int.TryParse(site.Name.AsSpan(site.Name.LastIndexOf('.') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1);
    }

    /// <summary>How many blocks there are; with a pattern, how many of its sites from number 0 on.</summary>
    public int Count(string? pattern)
    {
        if (pattern is null)
            return _blocks.Count;
        var names = _table.Sites.SelectMany(site => site.Names).ToHashSet(StringComparer.Ordinal);
        var count = 0;
        while (names.Contains(Numbered(pattern, count)))
            count++;
        return count;
    }

    /// <summary>The number of the block whose output a site is; null for other sites.</summary>
    public int? NumberOf(Site site) => _blocks.Where(group => group.Any(block => block.Order == site.Order)).Select(group => (int?)group.Key).FirstOrDefault();

    /// <summary>The site that a vector is for.</summary>
    /// <param name="vector">The vector.</param>
    /// <param name="path">The file it comes from.</param>
    /// <param name="module">A module within the block, or null for the block's output.</param>
    /// <param name="pattern">A site's name with <see cref="Number"/> for the block's, or null.</param>
    /// <exception cref="OnnxException">The model has no such site, or another number of channels there.</exception>
    public Site SiteOf(LayerVector vector, string path, string? module, string? pattern)
    {
        var site = vector.Layer is not { } layer ? _table.Find(vector.Name)
            : pattern is not null ? _table.Find(Numbered(pattern, layer))
            : module is not null ? _table.Find($"{Block(vector, layer, path).Name}.{module}")
            : Block(vector, layer, path);
        return site.Channels == vector.Values.Length ? site
            : throw new OnnxException($"'{vector.Name}' of '{path}' has {vector.Values.Length} numbers, but '{site.Name}' of {_model.Source.Name} has {site.Channels} channels: it was made for another model.");
    }

    private static string Numbered(string pattern, int number) => pattern.Replace(Number, number.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);

    private Site Block(LayerVector vector, int layer, string path)
    {
        if (_blocks.Count == 0 || _blocks.Any(group => group.Count() > 1))
            throw new OnnxException($"{_model.Source.Name}: {(_blocks.Count == 0 ? "no site is a block's output" : $"several sites are outputs of a block {_blocks.First(group => group.Count() > 1).Key}")}, so '{vector.Name}' of '{path}' has no place. Name it by --site 'PATH.{Number}'.");
        if (_blocks[layer].FirstOrDefault() is { } block)
            return block;
        var (first, last) = (_blocks.Min(group => group.Key), _blocks.Max(group => group.Key));
        throw new OnnxException($"'{vector.Name}' of '{path}' is for block {layer}, but {_model.Source.Name} has the blocks {first} to {last} ('{_blocks[first].First().Name}' to '{_blocks[last].First().Name}'). It was made for another model; if it still fits, leave that block out by --layers {first}-{last}.");
    }
}
