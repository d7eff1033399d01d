using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>A row of the doctor's table.</summary>
/// <param name="Layer">What was looked at.</param>
/// <param name="Found">What is there.</param>
/// <param name="Needed">What this build needs; empty: nothing in particular.</param>
public sealed record DoctorRow(string Layer, string Found, string Needed);

/// <summary>The doctor's answer as JSON.</summary>
public sealed record DoctorAnswer(bool Served, string? Serving, string Verdict, IReadOnlyList<string> Notes,
    IReadOnlyList<DoctorRow> Layers, StackReport Report);

/// <summary>
/// <c>Sluice.Worker doctor [--json]</c>: walks the stack from the hardware up and says what will serve. Exit code 0 when
/// what is wished can be served, 1 when not, 2 for arguments it does not know.
/// </summary>
public static class DoctorCommand
{
    private const int Columns = 100;

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, Func<string, string?> env, TextWriter output)
    {
        if (arguments.Any(a => a != "--json"))
        {
            await output.WriteLineAsync("usage: Sluice.Worker doctor [--json]");
            return 2;
        }

        var report = StackProbe.Look(ProviderSettings.Read(env), tryProviders: true);
        var verdict = StackVerdict.Of(report);
        await output.WriteAsync(arguments.Count > 0 ? Json(report, verdict) + "\n" : Text(report, verdict));
        return verdict.Served ? 0 : 1;
    }

    /// <summary>The table and the verdict, at most 100 columns wide.</summary>
    public static string Text(StackReport report, Verdict verdict)
    {
        var rows = Rows(report);
        var layer = rows.Max(r => r.Layer.Length) + 2;
        var needed = rows.Max(r => r.Needed.Length) + 2;
        var found = Columns - layer - needed;
        var text = new StringBuilder();
        foreach (var row in rows.Prepend(new DoctorRow("", "found", "needed")))
        {
            var lines = Wrap(row.Found, found - 2);
            for (var i = 0; i < lines.Count; i++)
                text.Append(((i == 0 ? row.Layer : "").PadRight(layer) + lines[i].PadRight(found) + (i == 0 ? row.Needed : "")).TrimEnd()).Append('\n');
        }

        text.Append('\n');
        foreach (var line in StackVerdict.Notes(report).Append(verdict.Line).SelectMany(n => Wrap(n, Columns))) text.Append(line).Append('\n');
        return text.ToString();
    }

    public static string Json(StackReport report, Verdict verdict) => JsonSerializer.Serialize(
        new DoctorAnswer(verdict.Served, verdict.Serving, verdict.Line, StackVerdict.Notes(report), Rows(report), report), DoctorJson.Told.DoctorAnswer);

    /// <summary>The layers in the order in which they stand on each other.</summary>
    public static IReadOnlyList<DoctorRow> Rows(StackReport report) =>
    [
        .. Gpus(report),
        new("driver", report.Driver ?? "none", $">= {StackVerdict.DriverNeeded}"),
        new("device files", report.DeviceFiles ? "/dev/nvidia*" : "none", "/dev/nvidia*"),
        new("libcuda", Told(report.Cuda, "CUDA "), "CUDA >= 13"),
        .. report.Libraries.Select(l => new DoctorRow(l.Name, Told(l), Needed(l.Name))),
        new("ONNX Runtime", report.OnnxRuntime, ""),
        new("its providers", string.Join(", ", report.ProviderLibraries.Where(p => p != "shared").Append("webgpu").Append("cpu")), Wish(report.Wish)),
        .. report.Runs.Select(r => new DoctorRow($"run on {r.Provider}", r.Error is null
            ? string.Create(CultureInfo.InvariantCulture, $"right, {r.Milliseconds:0} ms") : "failed: " + ProviderError.Explain(r.Provider, r.Error), "")),
    ];

    private static IEnumerable<DoctorRow> Gpus(StackReport report)
    {
        if (report.Gpus.Count == 0)
            yield return new DoctorRow("GPU", report.PciGpus > 0 ? $"{report.PciGpus} on the PCI bus ({report.SmiError})" : $"none ({report.SmiError})",
                $"compute capability >= {StackVerdict.CapabilityNeeded}");
        foreach (var gpu in report.Gpus)
        {
            yield return new DoctorRow($"GPU {gpu.Index}", $"{gpu.Name}, compute capability {gpu.ComputeCapability ?? "not told"}, "
                + (gpu.MemoryMiB is { } memory ? $"{memory} MiB" : "memory not told"), $"compute capability >= {StackVerdict.CapabilityNeeded}");
            if (gpu.MigEnabled == true)
                yield return new DoctorRow($"GPU {gpu.Index} MIG", report.Mig.Any(m => m.Gpu == gpu.Index)
                    ? string.Join(", ", report.Mig.Where(m => m.Gpu == gpu.Index).Select(m => m.Profile)) : "on, no instance", "one instance");
        }
    }

    private static string Told(Layer layer, string before = "") => layer.Found ? before + (layer.Version ?? "found")
        : layer.Error?.Replace(": cannot open shared object file: No such file or directory", " not found", StringComparison.Ordinal) ?? "none";

    private static string Needed(string layer) => layer switch
    {
        "CUDA runtime" or "cuBLAS" => "13 for cuda",
        "cuRAND" => "10 for cuda",
        "cuDNN" => "9 for tensorrt, convolutions",
        "TensorRT" => "10 for tensorrt",
        "NCCL" => "2 for several GPUs",
        _ => "",
    };

    private static string Wish(ProviderSettings wish) =>
        $"{string.Join(", ", wish.Wished)} ({(wish.Policy == ProviderPolicy.Require ? "require" : "prefer")})";

    /// <summary>Lines of at most so many columns, broken between words; a longer word is cut.</summary>
    private static List<string> Wrap(string text, int columns)
    {
        var lines = new List<string> { "" };
        foreach (var word in text.Split(' ').SelectMany(w => w.Chunk(columns), (_, c) => new string(c)))
        {
            if (lines[^1].Length > 0 && lines[^1].Length + 1 + word.Length > columns) lines.Add("");
            lines[^1] += lines[^1].Length > 0 ? " " + word : word;
        }

        return lines;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(DoctorAnswer))]
internal sealed partial class DoctorJson : JsonSerializerContext
{
    /// <summary>As people read it: an apostrophe stays one.</summary>
    public static DoctorJson Told => new(new JsonSerializerOptions(Default.Options!) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
