using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Domain.Gpus;

/// <summary>
/// Parses the output of nvidia-smi. Pure. <c>[N/A]</c>, <c>[Not Supported]</c>, <c>[Insufficient Permissions]</c>,
/// <c>[Unknown Error]</c> and <c>ERR!</c> are parsed as unknown values.
/// </summary>
public static partial class NvidiaSmiParser
{
    /// <summary>The queried fields, in addition to those that every driver supports (<see cref="OldQuery"/>).</summary>
    public const string Query = OldQuery
        + ",compute_cap,compute_mode,mig.mode.current,ecc.errors.uncorrected.volatile.total,"
        + "retired_pages.pending,remapped_rows.pending,remapped_rows.failure,utilization.gpu";

    /// <summary>
    /// The fields for drivers that reject the complete query because they do not support one of its fields.
    /// </summary>
    public const string OldQuery = "index,uuid,name,driver_version,memory.total,memory.used";

    /// <summary>
    /// Parses the GPUs in the output of <c>--query-gpu=... --format=csv,nounits</c>. The first line contains the names
    /// of the columns. Lines that do not describe a GPU are ignored.
    /// </summary>
    public static IReadOnlyList<Gpu> Gpus(string csv)
    {
        var gpus = new List<Gpu>();
        string[] columns = [];
        foreach (var line in Lines(csv))
        {
            var fields = line.Split(',', StringSplitOptions.TrimEntries);
            if (fields[0] == "index")
            {
                columns = [.. fields.Select(f => f.Split(' ')[0])];
                continue;
            }

            if (columns.Length > 0 && fields.Length >= 3 && TryParse(fields[0], out var index))
                gpus.Add(Gpu(index, name =>
                    Array.IndexOf(columns, name) is var i and >= 0 && i < fields.Length ? fields[i] : ""));
        }

        return gpus;
    }

    /// <summary>Parses the MIG slices in the output of <c>nvidia-smi -L</c>, by the UUID of the GPU.</summary>
    public static ILookup<string, MigSlice> Slices(string list)
    {
        var slices = new List<(string Gpu, MigSlice Slice)>();
        var gpu = "";
        foreach (var line in Lines(list))
        {
            if (GpuLine().Match(line) is { Success: true } on)
            {
                gpu = on.Groups[2].Value;
                continue;
            }

            if (gpu.Length > 0 && MigLine().Match(line) is { Success: true } mig
                && MigProfile.Parse(mig.Groups[1].Value) is { } profile)
                slices.Add((gpu, new MigSlice(mig.Groups[3].Value, profile, Int(mig.Groups[2].Value))));
        }

        return slices.ToLookup(s => s.Gpu, s => s.Slice);
    }

    /// <summary>
    /// Parses the pairs of GPUs in the output of <c>nvidia-smi topo -m</c>, by index, the smaller index first.
    /// </summary>
    public static IReadOnlyList<(int A, int B, LinkKind Kind, int NvLinks)> Topology(string matrix)
    {
        var pairs = new List<(int, int, LinkKind, int)>();
        int?[] columns = [];
        foreach (var line in Lines(matrix))
        {
            var words = line.Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || GpuName(words[0]) is not { } row) continue;
            if (GpuName(words[1]) is not null || !IsLink(words[1]))
            {
                // The header of the table. On a machine with one GPU it is "GPU0 CPU Affinity ...".
                columns = [.. words.Select(GpuName)];
                continue;
            }

            for (var i = 0; i < columns.Length && i + 1 < words.Length; i++)
            {
                if (columns[i] is { } column && column > row && Link(words[i + 1]) is var (kind, count))
                    pairs.Add((row, column, kind, count));
            }
        }

        return pairs;
    }

    /// <summary>
    /// Parses the NVLinks in the output of <c>nvidia-smi nvlink --status</c>, by the UUID of the GPU.
    /// </summary>
    public static IReadOnlyDictionary<string, NvLinks> NvLinks(string status)
    {
        var links = new Dictionary<string, NvLinks>();
        var gpu = "";
        foreach (var line in Lines(status))
        {
            if (GpuLine().Match(line) is { Success: true } on)
            {
                gpu = on.Groups[2].Value;
                continue;
            }

            if (gpu.Length == 0 || LinkLine().Match(line) is not { Success: true } link) continue;
            var bandwidth = double.Parse(link.Groups[1].Value, CultureInfo.InvariantCulture);
            links[gpu] = new NvLinks(links.GetValueOrDefault(gpu).Active + 1, bandwidth);
        }

        return links;
    }

    /// <summary>
    /// Parses the output of <c>conf-compute -f</c> (<c>CC status: ON</c>) and <c>conf-compute -grs</c> (<c>... Ready
    /// state: ready</c>).
    /// </summary>
    public static ConfidentialState Confidential(string feature, string ready) =>
        !Plain(feature).Contains("CC status: ON", StringComparison.OrdinalIgnoreCase) ? ConfidentialState.Off
        : ReadyLine().IsMatch(Plain(ready)) ? ConfidentialState.Ready : ConfidentialState.NotReady;

    private static Gpu Gpu(int index, Func<string, string> field)
    {
        var name = field("name");
        var model = GpuModelCatalog.Find(name);
        return new Gpu
        {
            Index = index,
            Uuid = field("uuid"),
            Name = name,
            Driver = Known(field("driver_version")),
            // Inside a MIG slice the memory may be unknown, but the model is known.
            MemoryMiB = Number(field("memory.total")) ?? (model?.MemoryGb ?? 0) * 1024L,
            UsedMiB = Number(field("memory.used")),
            Utilization = (int?)Number(field("utilization.gpu")),
            ComputeCapability = ComputeCapability.Parse(field("compute_cap")) ?? model?.ComputeCapability ?? default,
            ComputeMode = field("compute_mode") switch
            {
                "Exclusive_Process" or "Exclusive Process" => ComputeMode.ExclusiveProcess,
                "Prohibited" => ComputeMode.Prohibited,
                _ => ComputeMode.Default,
            },
            MigEnabled = field("mig.mode.current") == "Enabled",
            Fault = Fault(field),
        };
    }

    private static string? Fault(Func<string, string> field)
    {
        if (!field("uuid").StartsWith("GPU-", StringComparison.Ordinal))
            return $"the UUID is '{field("uuid")}': the GPU fell off the bus, or its driver failed";
        if (field("memory.total") is "ERR!" or "[Unknown Error]" or "[GPU is lost]")
            return $"the memory is '{field("memory.total")}': the GPU fell off the bus, or its driver failed";
        if (Number(field("ecc.errors.uncorrected.volatile.total")) is > 0 and var errors)
            return string.Create(CultureInfo.InvariantCulture,
                $"{errors} uncorrectable ECC errors since the driver was loaded: reset the GPU (nvidia-smi -r)");
        if (IsYes(field("remapped_rows.failure"))) return "a memory row could not be remapped: replace the GPU";
        if (IsYes(field("retired_pages.pending")))
            return "memory pages are pending retirement: reset the GPU (nvidia-smi -r)";
        return IsYes(field("remapped_rows.pending"))
            ? "memory rows are pending remapping: reset the GPU (nvidia-smi -r)"
            : null;
    }

    private static bool IsYes(string field) => field is "Yes" or "yes" or "1";

    private static int? GpuName(string word) =>
        word.StartsWith("GPU", StringComparison.Ordinal) && TryParse(word.AsSpan(3), out var n) ? n : null;

    private static bool IsLink(string word) => word == "X" || Link(word) is not null;

    private static (LinkKind Kind, int NvLinks)? Link(string word)
    {
        if (word.StartsWith("NV", StringComparison.Ordinal) && TryParse(word.AsSpan(2), out var n))
            return (LinkKind.NV, n);
        return word is "SYS" or "NODE" or "PHB" or "PXB" or "PIX" ? (Enum.Parse<LinkKind>(word), 0) : null;
    }

    /// <summary>Returns the value of a field; null if nvidia-smi reports it as unknown.</summary>
    private static string? Known(string field) =>
        field.Length == 0 || field[0] == '[' || field is "N/A" or "ERR!" ? null : field;

    private static long? Number(string field) =>
        long.TryParse(field.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : null;

    private static bool TryParse(ReadOnlySpan<char> digits, out int value) =>
        int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private static int Int(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    private static IEnumerable<string> Lines(string text) =>
        Plain(text).Split('\n').Select(l => l.TrimEnd()).Where(l => l.Length > 0);

    /// <summary>Removes terminal escape sequences, such as the underlining of headers.</summary>
    private static string Plain(string text) => Ansi().Replace(text, "");

    [GeneratedRegex("\x1b\\[[0-9;]*[A-Za-z]")]
    private static partial Regex Ansi();

    [GeneratedRegex(@"^GPU (\d{1,4}): .*\(UUID: (GPU-[^)]+)\)")]
    private static partial Regex GpuLine();

    [GeneratedRegex(@"^\s+MIG (\S+)\s+Device\s+(\d{1,4}): \(UUID: (MIG-[^)]+)\)")]
    private static partial Regex MigLine();

    [GeneratedRegex(@"^\s*Link \d+: ([0-9.]+) GB/s")]
    private static partial Regex LinkLine();

    [GeneratedRegex(@"state:\s*ready", RegexOptions.IgnoreCase)]
    private static partial Regex ReadyLine();
}
