using System.Globalization;

namespace Sluice.Worker.Generation.Tokenization.Unicode;

/// <summary>The tables of the Unicode normalization forms, read from the resource <c>unicode-forms.txt</c>.</summary>
internal sealed class UnicodeForms
{
    private static readonly Lazy<UnicodeForms> Loaded = new(() => new UnicodeForms());

    private readonly Dictionary<int, byte> classes = [];
    private readonly Dictionary<int, int[]> canonical = [];
    private readonly Dictionary<int, int[]> compatibility = [];
    private readonly Dictionary<(int, int), int> composites = [];
    private readonly List<(int First, int Last, int Version)> recent = [];
    private readonly HashSet<int> changedByComposition = [];

    private UnicodeForms()
    {
        using var resource = typeof(UnicodeForms).Assembly.GetManifestResourceStream("unicode-forms.txt")!;
        using var reader = new StreamReader(resource);
        for (var section = ""; reader.ReadLine() is { } line;)
            if (line.StartsWith(':')) section = line;
            else if (!line.StartsWith('#'))
                foreach (var item in line.AsSpan().Split(' ')) Add(section, line.AsSpan(item));
        // NFC keeps a character that has a decomposition if it is a primary composite.
        changedByComposition.UnionWith(canonical.Keys);
        changedByComposition.ExceptWith(composites.Values);
        changedByComposition.UnionWith(classes.Keys);
        foreach (var (_, second) in composites.Keys) changedByComposition.Add(second);
    }

    /// <summary>The tables. They are loaded for the first text that needs them.</summary>
    public static UnicodeForms Tables => Loaded.Value;

    /// <summary>Returns the canonical combining class of a character.</summary>
    public byte CombiningClass(int code) => classes.GetValueOrDefault(code);

    /// <summary>Returns the full decomposition of a character, or null if it has none.</summary>
    public int[]? Decomposition(int code, bool compatibility) =>
        (compatibility ? this.compatibility.GetValueOrDefault(code) : null) ?? canonical.GetValueOrDefault(code);

    /// <summary>Returns the composite of two characters, or -1.</summary>
    public int Composite(int first, int second) => composites.GetValueOrDefault((first, second), -1);

    /// <summary>Returns whether a character may be changed by NFC, or changes the character before it.</summary>
    public bool MayChange(int code) =>
        changedByComposition.Contains(code) || code is (>= 0x1161 and <= 0x1175) or (>= 0x11A8 and <= 0x11C2);

    /// <summary>
    /// Returns whether a character is newer than version 8 or 9 of Unicode. Hugging Face's tokenizers have tables of
    /// categories of these versions, in which it has no category.
    /// </summary>
    public bool IsNewerThan(int version, int code)
    {
        var (low, high) = (0, recent.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (recent[middle].Last < code) low = middle + 1;
            else high = middle;
        }

        return low < recent.Count && recent[low].First <= code && recent[low].Version >= version;
    }

    private void Add(string section, ReadOnlySpan<char> item)
    {
        var equal = item.IndexOf('=');
        var left = item[..equal];
        var right = item[(equal + 1)..];
        switch (section)
        {
            case ":classes":
                var dash = left.IndexOf('-');
                for (var code = Hex(left[..dash]); code <= Hex(left[(dash + 1)..]); code++)
                    classes[code] = (byte)Hex(right);
                break;
            case ":recent":
                var to = left.IndexOf('-');
                recent.Add((Hex(left[..to]), Hex(left[(to + 1)..]), Hex(right)));
                break;
            case ":canonical":
                canonical[Hex(left)] = Sequence(right);
                break;
            case ":compatibility":
                compatibility[Hex(left)] = Sequence(right);
                break;
            default:
                var pair = Sequence(left);
                composites[(pair[0], pair[1])] = Hex(right);
                break;
        }
    }

    private static int[] Sequence(ReadOnlySpan<char> text)
    {
        var codes = new int[text.Count('+') + 1];
        var i = 0;
        foreach (var range in text.Split('+')) codes[i++] = Hex(text[range]);
        return codes;
    }

    private static int Hex(ReadOnlySpan<char> text) =>
        int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
