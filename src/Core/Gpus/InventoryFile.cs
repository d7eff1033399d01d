using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Gpus;

/// <summary>
/// An inventory that was written by hand (<c>SLUICE_GPU_INVENTORY</c>): for tests, and for trying out what would be placed where before the
/// machine is there. What a kind of the catalogue says need not be said again.
/// </summary>
public sealed record InventoryFile
{
    /// <summary>More are refused: a mistyped count must not fill the memory.</summary>
    private const int MaxGpus = 100_000;

    private static readonly JsonTypeInfo<InventoryFile> Type = (JsonTypeInfo<InventoryFile>)new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    }.GetTypeInfo(typeof(InventoryFile));

    public required IReadOnlyList<Entry> Gpus { get; init; }

    /// <summary>Connections beside those that entries declare of their own GPUs.</summary>
    public IReadOnlyList<Connection> Links { get; init; } = [];

    /// <summary>Reads a file's text, or says every error of it.</summary>
    public static (Inventory? Inventory, IReadOnlyList<FieldError> Errors) Parse(string json, string source)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(json, null, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        }
        catch (JsonException e)
        {
            return (null, [new FieldError("(file)", "", $"JSON: {e.Message}", (int)(e.LineNumber ?? 0) + 1)]);
        }

        var errors = new List<FieldError>();
        var file = Declarations.Read(node, Type, "", errors);
        if (file is not null) file.Check(errors);
        return errors.Count == 0 ? (file!.Build(source), []) : (null, errors);
    }

    private void Check(List<FieldError> errors)
    {
        for (var i = 0; i < Gpus.Count; i++)
        {
            var (entry, path) = (Gpus[i], $"gpus[{i}]");
            var known = Catalogue.Find(entry.Name) is not null;
            Must(entry.Name.Length > 0, "name", "", "a GPU's name as nvidia-smi says it");
            Must(entry.Count is >= 1 and <= MaxGpus, "count", $"{entry.Count}", $"1 to {MaxGpus}");
            Must(entry.Uuid is null || entry.Count == 1, "uuid", entry.Uuid ?? "", "none, because count is not 1: each gets one of its own");
            Must(entry.Mig.Count == 0 || entry.Count == 1 || entry.Mig.All(m => m.Uuid is null), "mig", "with uuids", "none, because count is not 1");
            Must(known || entry.MemoryMiB > 0, "memoryMiB", $"{entry.MemoryMiB}", "its memory in MiB: the catalogue does not know this name");
            Must(known || entry.ComputeCapability is not null, "computeCapability", "", "one like 9.0: the catalogue does not know this name");

            Must(entry.Mig.All(m => m.Count is >= 1 and <= 7), "mig", "a count out of range", "a count of 1 to 7 in each");

            void Must(bool holds, string field, string value, string expected)
            {
                if (!holds) errors.Add(new FieldError($"{path}.{field}", value, expected));
            }
        }

        foreach (var twice in Gpus.SelectMany(g => g.Mig.Select(m => m.Uuid).Append(g.Uuid)).OfType<string>().GroupBy(u => u).Where(g => g.Count() > 1))
            errors.Add(new FieldError("gpus", twice.Key, "each uuid only once"));
        var count = Gpus.Sum(g => (long)g.Count);
        if (count > MaxGpus) errors.Add(new FieldError("gpus", $"{count} GPUs", $"at most {MaxGpus}"));
        for (var i = 0; i < Links.Count; i++)
        {
            if (Links[i].Gpus.FirstOrDefault(g => g < 0 || g >= count, -1) is var odd && odd != -1)
                errors.Add(new FieldError($"links[{i}].gpus", $"{odd}", $"indexes from 0 to {count - 1}"));
            if (Links[i].NvLinks > 0 == Links[i].Way is not null)
                errors.Add(new FieldError($"links[{i}]", "", "either nvLinks (how many) or way (PIX, PXB, PHB, NODE or SYS)"));
        }
    }

    private Inventory Build(string source)
    {
        var (gpus, links) = (new List<Gpu>(), new List<GpuLink>());
        foreach (var entry in Gpus)
        {
            var first = gpus.Count;
            for (var n = 0; n < entry.Count; n++) gpus.Add(entry.Make(gpus.Count));
            if (entry.NvLinks > 0) Connect([.. Enumerable.Range(first, entry.Count)], LinkKind.NV, entry.NvLinks);
        }

        foreach (var link in Links) Connect(link.Gpus, link.Way ?? LinkKind.NV, link.NvLinks);
        return new Inventory { Gpus = gpus, Links = links, Source = source };

        void Connect(IReadOnlyList<int> indexes, LinkKind kind, int count)
        {
            for (var a = 0; a < indexes.Count; a++)
                for (var b = a + 1; b < indexes.Count; b++)
                    links.Add(new GpuLink(gpus[indexes[a]].Uuid, gpus[indexes[b]].Uuid, kind, count));
        }
    }

    /// <summary>One GPU, or several equal ones.</summary>
    public sealed record Entry
    {
        public required string Name { get; init; }

        /// <summary>So many of them.</summary>
        public int Count { get; init; } = 1;

        /// <summary>Not said: one made of its index.</summary>
        public string? Uuid { get; init; }

        public string Node { get; init; } = "";

        public long MemoryMiB { get; init; }

        public ComputeCapability? ComputeCapability { get; init; }

        public string Driver { get; init; } = "580.95.05";

        public ComputeMode ComputeMode { get; init; }

        public ConfidentialState Confidential { get; init; }

        /// <summary>NVLinks between each two of this entry's.</summary>
        public int NvLinks { get; init; }

        /// <summary>Its slices; with them it is in MIG mode.</summary>
        public IReadOnlyList<Slice> Mig { get; init; } = [];

        /// <summary>Why it must not be used.</summary>
        public string? Fault { get; init; }

        internal Gpu Make(int index)
        {
            var model = Catalogue.Find(Name);
            return new Gpu
            {
                Index = index,
                Uuid = Uuid ?? Made("GPU", index, 0),
                Name = Name,
                Node = Node,
                MemoryMiB = MemoryMiB > 0 ? MemoryMiB : model!.MemoryGb * 1024L,
                ComputeCapability = ComputeCapability ?? model!.ComputeCapability,
                Driver = Driver,
                ComputeMode = ComputeMode,
                Confidential = Confidential,
                MigEnabled = Mig.Count > 0,
                Slices = [.. Mig.SelectMany(m => Enumerable.Repeat(m, m.Count)).Select((m, n) => new MigSlice(m.Uuid ?? Made("MIG", index, n), m.Profile, n))],
                Fault = Fault,
            };
        }

        private static string Made(string kind, int gpu, int slice) => $"{kind}-{gpu:x8}-{slice:x4}-4000-8000-000000000000";
    }

    /// <summary>A MIG slice, or several equal ones.</summary>
    public sealed record Slice
    {
        public required MigProfile Profile { get; init; }

        public int Count { get; init; } = 1;

        public string? Uuid { get; init; }
    }

    /// <summary>How each two of these GPUs are connected.</summary>
    public sealed record Connection
    {
        /// <summary>Indexes.</summary>
        public required IReadOnlyList<int> Gpus { get; init; }

        public int NvLinks { get; init; }

        /// <summary>Not through NVLinks: <c>PIX</c>, <c>PXB</c>, <c>PHB</c>, <c>NODE</c> or <c>SYS</c>.</summary>
        public LinkKind? Way { get; init; }
    }
}
