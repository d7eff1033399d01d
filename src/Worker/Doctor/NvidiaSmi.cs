using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Sluice.Worker.Doctor;

/// <summary>
/// A GPU as reported by nvidia-smi. Values that it does not report (in a MIG instance, in a container) are null.
/// </summary>
/// <param name="Index">Index of the GPU, before CUDA_VISIBLE_DEVICES.</param>
/// <param name="Uuid"><c>GPU-...</c></param>
/// <param name="Name">Product name, for example <c>NVIDIA H200</c>.</param>
/// <param name="Driver">Version of the driver, for example <c>580.159</c>.</param>
/// <param name="ComputeCapability">Compute capability, for example <c>9.0</c>.</param>
/// <param name="MigEnabled">True if MIG is enabled. Null if the GPU does not support MIG or the mode is not
/// reported.</param>
/// <param name="MemoryMiB">Total memory in MiB.</param>
/// <param name="UsedMiB">Used memory in MiB.</param>
/// <param name="Utilization">Share of the last sample in which a kernel ran, in percent.</param>
/// <param name="Celsius">Temperature of the GPU core in degrees Celsius.</param>
/// <param name="Watts">Power draw in watts.</param>
public sealed record GpuFacts(
    int Index,
    string Uuid,
    string Name,
    string? Driver,
    string? ComputeCapability,
    bool? MigEnabled,
    long? MemoryMiB, long? UsedMiB, int? Utilization, int? Celsius = null, double? Watts = null);

/// <summary>A MIG instance.</summary>
/// <param name="Gpu">Index of its GPU.</param>
/// <param name="Profile">Profile, for example <c>1g.10gb</c>.</param>
/// <param name="Device">Number of the instance on its GPU.</param>
/// <param name="Uuid"><c>MIG-...</c>, for CUDA_VISIBLE_DEVICES.</param>
public sealed record MigInstance(int Gpu, string Profile, int Device, string Uuid);

/// <summary>The output of nvidia-smi, or the reason why there is none.</summary>
public sealed record SmiAnswer(IReadOnlyList<GpuFacts> Gpus, IReadOnlyList<MigInstance> Mig, string? Error);

/// <summary>
/// Runs nvidia-smi and parses its output. The parsers are pure. They read <c>[N/A]</c>, <c>[Not Supported]</c>,
/// <c>[Insufficient Permissions]</c>, <c>[Unknown Error]</c> and <c>ERR!</c> as null.
/// </summary>
public static partial class NvidiaSmi
{
    /// <summary>The fields that <see cref="ParseGpus"/> reads, in this order (nvidia-smi --help-query-gpu).</summary>
    public const string Query = "index,uuid,name,driver_version,compute_cap,mig.mode.current,memory.total,memory.used,"
        + "utilization.gpu,temperature.gpu,power.draw";

    /// <summary>Time limit. nvidia-smi hangs if a GPU has fallen off its bus.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <summary>Smallest number of fields of a GPU line. An older driver can omit the fields after them.</summary>
    private const int Least = 9;

    /// <summary>
    /// Parses the GPUs from <c>--query-gpu=... --format=csv,noheader,nounits</c>. Other lines are ignored.
    /// </summary>
    public static IReadOnlyList<GpuFacts> ParseGpus(string csv)
    {
        var gpus = new List<GpuFacts>();
        foreach (var line in csv.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split(',', StringSplitOptions.TrimEntries);
            if (fields.Length < Least) continue;
            if (!int.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var index)) continue;
            gpus.Add(new GpuFacts(index, fields[1], fields[2], Text(fields[3]), Text(fields[4]),
                Text(fields[5]) switch { "Enabled" => true, "Disabled" => false, _ => null },
                Number(fields[6]), Number(fields[7]), (int?)Number(fields[8]), (int?)Number(At(9)), Real(At(10))));
            string At(int i) => i < fields.Length ? fields[i] : "";
        }

        return gpus;
    }

    /// <summary>Parses the MIG instances from <c>nvidia-smi -L</c>.</summary>
    public static IReadOnlyList<MigInstance> ParseMig(string list)
    {
        var (instances, gpu) = (new List<MigInstance>(), -1);
        foreach (var line in list.Split('\n'))
        {
            if (GpuLine().Match(line) is { Success: true } on) gpu = Int(on.Groups[1].Value);
            if (gpu >= 0 && MigLine().Match(line) is { Success: true } mig)
                instances.Add(new MigInstance(gpu, mig.Groups[1].Value, Int(mig.Groups[2].Value), mig.Groups[3].Value));
        }

        return instances;
    }

    /// <summary>Runs nvidia-smi with a time limit of a few seconds. Does not throw.</summary>
    public static SmiAnswer Read()
    {
        var (gpus, error) = Run([$"--query-gpu={Query}", "--format=csv,noheader,nounits"]);
        if (error is not null) return new SmiAnswer([], [], error);
        var found = ParseGpus(gpus);
        if (found.Count == 0) return new SmiAnswer([], [], "nvidia-smi: " + gpus.Trim().ReplaceLineEndings(" "));
        return new SmiAnswer(found, found.Any(g => g.MigEnabled == true) ? ParseMig(Run(["-L"]).Output) : [], null);
    }

    private static (string Output, string? Error) Run(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("nvidia-smi", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = new Process { StartInfo = start };
        StringBuilder output = new(), error = new();
        process.OutputDataReceived += (_, e) => Append(output, e.Data);
        process.ErrorDataReceived += (_, e) => Append(error, e.Data);
        try
        {
            process.Start();
        }
        catch (Win32Exception)
        {
            return ("", "nvidia-smi is not installed");
        }

        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            return ("", $"nvidia-smi did not answer within {Limit.TotalSeconds:0} s");
        }

        // The process can end before its last lines are read.
        process.WaitForExit();
        var said = output.ToString();
        return process.ExitCode == 0 ? (said, null)
            : (said, $"nvidia-smi: {(said + error).Trim().ReplaceLineEndings(" ")} (exit code {process.ExitCode})");
    }

    private static void Append(StringBuilder text, string? line)
    {
        if (line is null) return;
        lock (text) text.AppendLine(line);
    }

    private static string? Text(string field) =>
        field.Length == 0 || field[0] == '[' || field is "N/A" or "ERR!" ? null : field;

    private static long? Number(string field) =>
        long.TryParse(field, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n) ? n : null;

    private static double? Real(string field) =>
        double.TryParse(field, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var n) ? n : null;

    private static int Int(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^GPU (\d{1,4}): ")]
    private static partial Regex GpuLine();

    [GeneratedRegex(@"^\s+MIG (\S+)\s+Device\s+(\d{1,4}): \(UUID: (MIG-[^)]+)\)")]
    private static partial Regex MigLine();
}
