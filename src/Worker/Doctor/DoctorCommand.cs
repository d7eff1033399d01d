using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Worker.Devices;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Doctor;

/// <summary>A row of the doctor's table.</summary>
/// <param name="Layer">Name of the layer.</param>
/// <param name="Found">What was found.</param>
/// <param name="Needed">Requirement of this build. Empty if there is none.</param>
public sealed record DoctorRow(string Layer, string Found, string Needed);

/// <summary>The doctor's result as JSON.</summary>
public sealed record DoctorAnswer(bool Served, string? Serving, string Verdict, IReadOnlyList<string> Notes,
    IReadOnlyList<DoctorRow> Layers, StackReport Report);

/// <summary>
/// <c>Sluice.Worker doctor [--json]</c>: checks the stack from the hardware up and reports which provider will run
/// the models. Exit codes: 0 if the requested providers are available, 1 if not, 2 for unknown arguments.
/// </summary>
public static class DoctorCommand
{
    private const int Columns = 100;

    public static async Task<int> RunAsync(
        IReadOnlyList<string> arguments,
        Func<string, string?> env,
        TextWriter output)
    {
        if (arguments.Any(a => a != "--json"))
        {
            await output.WriteLineAsync("usage: Sluice.Worker doctor [--json]");
            return 2;
        }

        var report = StackProbe.Inspect(ProviderSettings.Read(env), tryProviders: true);
        var verdict = StackVerdict.Evaluate(report);
        await output.WriteAsync(arguments.Count > 0 ? Json(report, verdict) + "\n" : Text(report, verdict));
        return verdict.Served ? 0 : 1;
    }

    /// <summary>Returns the table and the verdict, at most 100 columns wide.</summary>
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
            {
                var line = (i == 0 ? row.Layer : "").PadRight(layer) + lines[i].PadRight(found);
                text.Append((line + (i == 0 ? row.Needed : "")).TrimEnd()).Append('\n');
            }
        }

        text.Append('\n');
        foreach (var line in StackVerdict.Notes(report).Append(verdict.Line).SelectMany(n => Wrap(n, Columns)))
            text.Append(line).Append('\n');
        return text.ToString();
    }

    public static string Json(StackReport report, Verdict verdict)
    {
        var notes = StackVerdict.Notes(report);
        var answer = new DoctorAnswer(verdict.Served, verdict.Serving, verdict.Line, notes, Rows(report), report);
        return JsonSerializer.Serialize(answer, DoctorJson.Relaxed.DoctorAnswer);
    }

    /// <summary>Returns the layers from the hardware up.</summary>
    public static IReadOnlyList<DoctorRow> Rows(StackReport report) =>
    [
        .. Gpus(report),
        new("driver", report.Driver ?? "none", $">= {StackVerdict.DriverNeeded}"),
        new("device files", report.DeviceFiles ? "/dev/nvidia*" : "none", "/dev/nvidia*"),
        new("libcuda", Describe(report.Cuda, "CUDA "), "CUDA >= 13"),
        .. report.Libraries.Select(l => new DoctorRow(l.Name, Describe(l), Needed(l.Name))),
        new("ONNX Runtime", report.OnnxRuntime, ""),
        new("its providers", Providers(report), Requested(report.Requested)),
        .. report.Runs.Select(r => new DoctorRow($"run on {r.Provider}", Result(r), "")),
    ];

    private static IEnumerable<DoctorRow> Gpus(StackReport report)
    {
        if (report.Gpus.Count == 0)
        {
            var found = report.PciGpus > 0
                ? $"{report.PciGpus} on the PCI bus ({report.SmiError})"
                : $"none ({report.SmiError})";
            yield return new DoctorRow("GPU", found, $"compute capability >= {StackVerdict.CapabilityNeeded}");
        }
        foreach (var gpu in report.Gpus)
        {
            var capability = $"compute capability {gpu.ComputeCapability ?? "unknown"}";
            var memory = gpu.MemoryMiB is { } mib ? $"{mib} MiB" : "memory unknown";
            yield return new DoctorRow(
                $"GPU {gpu.Index}",
                $"{gpu.Name}, {capability}, {memory}",
                $"compute capability >= {StackVerdict.CapabilityNeeded}");
            if (gpu.MigEnabled != true) continue;
            var profiles = report.Mig.Where(m => m.Gpu == gpu.Index).Select(m => m.Profile).ToList();
            yield return new DoctorRow(
                $"GPU {gpu.Index} MIG",
                profiles.Count > 0 ? string.Join(", ", profiles) : "on, no instance",
                "one instance");
        }
    }

    private static string Providers(StackReport report) =>
        string.Join(", ", report.ProviderLibraries.Where(p => p != "shared")
            .Concat(report.HasWebGpu ? ["webgpu"] : []).Append("cpu"));

    private static string Result(ProviderRun run) => run.Error is null
        ? string.Create(CultureInfo.InvariantCulture, $"right, {run.Milliseconds:0} ms")
        : "failed: " + ProviderError.Explain(run.Provider, run.Error);

    private static string Describe(Layer layer, string before = "")
    {
        const string notFound = ": cannot open shared object file: No such file or directory";
        if (layer.Found) return before + (layer.Version ?? "found");
        return layer.Error?.Replace(notFound, " not found", StringComparison.Ordinal) ?? "none";
    }

    private static string Needed(string layer) => layer switch
    {
        "CUDA runtime" or "cuBLAS" => "13 for cuda",
        "cuRAND" => "10 for cuda",
        "cuDNN" => "9 for tensorrt, convolutions",
        "TensorRT" => "10 for tensorrt",
        "NCCL" => "2 for several GPUs",
        _ => "",
    };

    private static string Requested(ProviderSettings settings) =>
        $"{string.Join(", ", settings.Requested)} "
        + $"({(settings.Policy == ProviderPolicy.Require ? "require" : "prefer")})";

    /// <summary>Breaks a text between words into lines of at most so many columns. Cuts longer words.</summary>
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

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(DoctorAnswer))]
internal sealed partial class DoctorJson : JsonSerializerContext
{
    /// <summary>Serializer options for readable output: apostrophes are not escaped.</summary>
    public static DoctorJson Relaxed => new(new JsonSerializerOptions(Default.Options!)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
