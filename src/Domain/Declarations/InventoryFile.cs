using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Declarations;

/// <summary>
/// An inventory file (<c>SLUICE_GPU_INVENTORY</c>), for tests and for checking the placement on a machine before it is
/// available. Properties that the catalog defines for a GPU model can be omitted.
/// </summary>
public sealed record InventoryFile
{
    /// <summary>Maximum number of GPUs, so that a mistyped count cannot exhaust the memory.</summary>
    private const int MaxGpus = 100_000;

    private static readonly JsonTypeInfo<InventoryFile> Type = (JsonTypeInfo<InventoryFile>)new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    }.GetTypeInfo(typeof(InventoryFile));

    /// <summary>The GPUs.</summary>
    public required IReadOnlyList<Entry> Gpus { get; init; }

    /// <summary>Connections in addition to the NVLinks that entries declare between their own GPUs.</summary>
    public IReadOnlyList<Connection> Links { get; init; } = [];

    /// <summary>Parses the text of a file. Returns the inventory, or null and all errors.</summary>
    public static (Inventory? Inventory, IReadOnlyList<FieldError> Errors) Parse(string json, string source)
    {
        JsonNode? node;
        try
        {
            var options = new JsonDocumentOptions
            {
                CommentHandling = JsonCommentHandling.Skip,
                AllowTrailingCommas = true,
            };
            node = JsonNode.Parse(json, null, options);
        }
        catch (JsonException e)
        {
            var line = (int)(e.LineNumber ?? 0) + 1;
            return (null, [new FieldError("(file)", $"invalid JSON ({e.Message})", "a JSON document", line)]);
        }

        var errors = new List<FieldError>();
        var file = DeclarationSerializer.Read(node, Type, "", errors);
        if (file is not null) file.Check(errors);
        return errors.Count == 0 ? (file!.Build(source), []) : (null, errors);
    }

    private void Check(List<FieldError> errors)
    {
        for (var i = 0; i < Gpus.Count; i++)
        {
            var (entry, path) = (Gpus[i], $"gpus[{i}]");
            var known = GpuModelCatalog.Find(entry.Name) is not null;
            Must(entry.Name.Length > 0, "name", "", "the name of a GPU as reported by nvidia-smi");
            Must(entry.Count is >= 1 and <= MaxGpus, "count", $"{entry.Count}", $"1 to {MaxGpus}");
            Must(entry.Uuid is null || entry.Count == 1, "uuid", entry.Uuid ?? "",
                "no value, because count is not 1 and each GPU gets its own");
            Must(entry.Mig.Count == 0 || entry.Count == 1 || entry.Mig.All(m => m.Uuid is null), "mig", "with uuids",
                "no uuids, because count is not 1");
            Must(known || entry.MemoryMiB > 0, "memoryMiB", $"{entry.MemoryMiB}",
                "the memory in MiB, because the catalog does not contain this name");
            Must(known || entry.ComputeCapability is not null, "computeCapability", "",
                "a value like 9.0, because the catalog does not contain this name");
            Must(entry.Mig.All(m => m.Count is >= 1 and <= 7), "mig", "a list with an invalid count",
                "a count of 1 to 7 in each entry");

            void Must(bool holds, string field, string value, string expected)
            {
                if (!holds) errors.Add(new FieldError($"{path}.{field}", value, expected));
            }
        }

        var uuids = Gpus.SelectMany(g => g.Mig.Select(m => m.Uuid).Append(g.Uuid)).OfType<string>();
        foreach (var duplicate in uuids.GroupBy(u => u).Where(g => g.Count() > 1))
            errors.Add(new FieldError("gpus", duplicate.Key, "unique uuids"));
        var count = Gpus.Sum(g => (long)g.Count);
        if (count > MaxGpus) errors.Add(new FieldError("gpus", $"{count} GPUs", $"at most {MaxGpus}"));
        for (var i = 0; i < Links.Count; i++)
        {
            if (Links[i].Gpus.FirstOrDefault(g => g < 0 || g >= count, -1) is var odd && odd != -1)
                errors.Add(new FieldError($"links[{i}].gpus", $"{odd}", $"indexes of 0 to {count - 1}"));
            if (Links[i].NvLinks > 0 == Links[i].Way is not null)
                errors.Add(new FieldError($"links[{i}]", "",
                    "either nvLinks (a number) or way (PIX, PXB, PHB, NODE or SYS)"));
        }
    }

    private Inventory Build(string source)
    {
        var (gpus, links) = (new List<Gpu>(), new List<GpuLink>());
        foreach (var entry in Gpus)
        {
            var first = gpus.Count;
            for (var n = 0; n < entry.Count; n++) gpus.Add(entry.CreateGpu(gpus.Count));
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

    /// <summary>One GPU, or several equal GPUs.</summary>
    public sealed record Entry
    {
        public required string Name { get; init; }

        /// <summary>Number of GPUs.</summary>
        public int Count { get; init; } = 1;

        /// <summary>The UUID; null: a UUID is generated from the index.</summary>
        public string? Uuid { get; init; }

        public string Node { get; init; } = "";

        public long MemoryMiB { get; init; }

        public ComputeCapability? ComputeCapability { get; init; }

        public string Driver { get; init; } = "580.95.05";

        public ComputeMode ComputeMode { get; init; }

        public ConfidentialState Confidential { get; init; }

        /// <summary>Number of NVLinks between each pair of GPUs of this entry.</summary>
        public int NvLinks { get; init; }

        /// <summary>The MIG slices. A GPU with slices is in MIG mode.</summary>
        public IReadOnlyList<Slice> Mig { get; init; } = [];

        /// <summary>Why the GPU must not be used; null if it has no fault.</summary>
        public string? Fault { get; init; }

        internal Gpu CreateGpu(int index)
        {
            var model = GpuModelCatalog.Find(Name);
            return new Gpu
            {
                Index = index,
                Uuid = Uuid ?? CreateUuid("GPU", index, 0),
                Name = Name,
                Node = Node,
                MemoryMiB = MemoryMiB > 0 ? MemoryMiB : model!.MemoryGb * 1024L,
                ComputeCapability = ComputeCapability ?? model!.ComputeCapability,
                Driver = Driver,
                ComputeMode = ComputeMode,
                Confidential = Confidential,
                MigEnabled = Mig.Count > 0,
                Slices =
                [
                    .. Mig.SelectMany(m => Enumerable.Repeat(m, m.Count))
                        .Select((m, n) => new MigSlice(m.Uuid ?? CreateUuid("MIG", index, n), m.Profile, n)),
                ],
                Fault = Fault,
            };
        }

        private static string CreateUuid(string kind, int gpu, int slice) =>
            $"{kind}-{gpu:x8}-{slice:x4}-4000-8000-000000000000";
    }

    /// <summary>One MIG slice, or several equal slices.</summary>
    public sealed record Slice
    {
        public required MigProfile Profile { get; init; }

        public int Count { get; init; } = 1;

        public string? Uuid { get; init; }
    }

    /// <summary>The connection between each pair of these GPUs.</summary>
    public sealed record Connection
    {
        /// <summary>The indexes of the GPUs.</summary>
        public required IReadOnlyList<int> Gpus { get; init; }

        public int NvLinks { get; init; }

        /// <summary>
        /// The type of a connection without NVLinks: <c>PIX</c>, <c>PXB</c>, <c>PHB</c>, <c>NODE</c> or <c>SYS</c>.
        /// </summary>
        public LinkKind? Way { get; init; }
    }
}
