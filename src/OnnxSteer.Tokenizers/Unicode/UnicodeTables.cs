using System.Globalization;
using System.Reflection;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// Unicode data that .NET has not without ICU, and classes of the older tables that the reference library uses;
/// tools/unicode-tables writes the file that this reads.
/// </summary>
internal sealed class UnicodeTables
{
    private static readonly Lazy<UnicodeTables> Loaded = new(() => new UnicodeTables());

    private readonly Dictionary<string, ScalarSet> scripts = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, ScalarSet> properties = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<int, int[]> canonical = [];
    private readonly Dictionary<int, int[]> compatible = [];
    private readonly Dictionary<long, int> compositions = [];
    private readonly Dictionary<int, byte> combining = [];
    private readonly Dictionary<int, int> folds = [];
    private readonly Dictionary<int, int[]> multiFolds = [];

    private UnicodeTables()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("OnnxSteer.Tokenizers.Unicode.tables.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            var words = line.Split(' ');
            switch (words[0])
            {
                case "script":
                    scripts[words[1]] = Ranges(words);
                    break;
                case "property":
                    properties[words[1]] = Ranges(words);
                    break;
                case "combining":
                    combining[Hex(words[1])] = byte.Parse(words[2], CultureInfo.InvariantCulture);
                    break;
                case "fold":
                    folds[Hex(words[1])] = Hex(words[2]);
                    break;
                case "multifold":
                    multiFolds[Hex(words[1])] = Scalars(words);
                    break;
                case "compatible":
                    compatible[Hex(words[1])] = Scalars(words);
                    break;
                case var kind:
                    var (scalar, parts) = (Hex(words[1]), Scalars(words));
                    canonical[scalar] = parts;
                    if (kind == "composed")
                        compositions[Pair(parts[0], parts[1])] = scalar;
                    break;
            }
        }
    }

    public static UnicodeTables Instance => Loaded.Value;

    public IEnumerable<(string Name, ScalarSet Set)> Scripts => scripts.Select(script => (script.Key, script.Value));

    /// <summary>The scripts and properties.</summary>
    public IEnumerable<string> Names => scripts.Keys.Concat(properties.Keys);

    /// <summary>What each scalar with a case folds to, one to one.</summary>
    public IReadOnlyDictionary<int, int> Folds => folds;

    /// <summary>Scalars that fold to several.</summary>
    public IReadOnlyDictionary<int, int[]> MultiFolds => multiFolds;

    public ScalarSet Property(string name) => properties[name];

    /// <summary>A script or property by name, in the version of .NET's own tables; null if there is none.</summary>
    public ScalarSet? Find(string name) =>
        scripts.TryGetValue(name, out var set) || properties.TryGetValue(name, out set) ? set.Intersect(ScalarSet.Assigned) : null;

    public int CombiningClass(int scalar) => scalar >= 0x300 && combining.TryGetValue(scalar, out var value) ? value : 0;

    /// <summary>One step of a decomposition; null if there is none. Hangul is not in the table.</summary>
    public int[]? Decomposition(int scalar, bool compatibility) =>
        canonical.TryGetValue(scalar, out var parts) || (compatibility && compatible.TryGetValue(scalar, out parts)) ? parts : null;

    public int? Composition(int first, int second) => compositions.TryGetValue(Pair(first, second), out var scalar) ? scalar : null;

    private static long Pair(int first, int second) => ((long)first << 32) | (uint)second;

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static int[] Scalars(string[] words) => [.. words.Skip(2).Select(Hex)];

    private static ScalarSet Ranges(string[] words) => ScalarSet.Of(words.Skip(2).Select(word =>
        word.Split('-') is [var first, var last] ? (Hex(first), Hex(last)) : (Hex(word), Hex(word))));
}
