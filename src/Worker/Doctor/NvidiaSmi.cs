using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Sluice.Worker.Doctor;

/// <summary>A GPU as nvidia-smi tells of it. What it will not tell (in a MIG slice, in a container) is null.</summary>
/// <param name="Index">Its number, before CUDA_VISIBLE_DEVICES.</param>
/// <param name="Uuid"><c>GPU-...</c></param>
/// <param name="Name">Such as <c>NVIDIA H200</c>.</param>
/// <param name="Driver">The driver's version, such as <c>580.159</c>.</param>
/// <param name="ComputeCapability">Such as <c>9.0</c>.</param>
/// <param name="MigEnabled">Whether it is cut into MIG instances; null: it cannot be, or is not told.</param>
/// <param name="MemoryMiB">All of its memory, MiB.</param>
/// <param name="UsedMiB">Memory in use, MiB.</param>
/// <param name="Utilization">Share of the last sample in which a kernel ran, percent.</param>
public sealed record GpuFacts(int Index, string Uuid, string Name, string? Driver, string? ComputeCapability, bool? MigEnabled,
    long? MemoryMiB, long? UsedMiB, int? Utilization);

/// <summary>A MIG instance.</summary>
/// <param name="Gpu">Index of the GPU it is cut from.</param>
/// <param name="Profile">Such as <c>1g.10gb</c>.</param>
/// <param name="Device">Its number on that GPU.</param>
/// <param name="Uuid"><c>MIG-...</c>, for CUDA_VISIBLE_DEVICES.</param>
public sealed record MigInstance(int Gpu, string Profile, int Device, string Uuid);

/// <summary>What nvidia-smi said, or why it said nothing.</summary>
public sealed record SmiAnswer(IReadOnlyList<GpuFacts> Gpus, IReadOnlyList<MigInstance> Mig, string? Error);

/// <summary>
/// Asks nvidia-smi. The parsers are pure, and take <c>[N/A]</c>, <c>[Not Supported]</c>, <c>[Insufficient
/// Permissions]</c>, <c>[Unknown Error]</c> and <c>ERR!</c> for what they mean: not told.
/// </summary>
public static partial class NvidiaSmi
{
    /// <summary>The fields that <see cref="ParseGpus"/> reads, in its order (nvidia-smi --help-query-gpu).</summary>
    public const string Query = "index,uuid,name,driver_version,compute_cap,mig.mode.current,memory.total,memory.used,utilization.gpu";

    /// <summary>nvidia-smi hangs when a GPU has fallen off its bus.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <summary>GPUs of <c>--query-gpu=... --format=csv,noheader,nounits</c>; lines that are no GPU are passed over.</summary>
    public static IReadOnlyList<GpuFacts> ParseGpus(string csv)
    {
        var gpus = new List<GpuFacts>();
        foreach (var line in csv.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split(',', StringSplitOptions.TrimEntries);
            if (fields.Length < 9 || !int.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var index)) continue;
            gpus.Add(new GpuFacts(index, fields[1], fields[2], Told(fields[3]), Told(fields[4]),
                Told(fields[5]) switch { "Enabled" => true, "Disabled" => false, _ => null },
                Number(fields[6]), Number(fields[7]), (int?)Number(fields[8])));
        }

        return gpus;
    }

    /// <summary>MIG instances of <c>nvidia-smi -L</c>.</summary>
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

    /// <summary>Runs nvidia-smi; never throws.</summary>
    public static async Task<SmiAnswer> AskAsync(CancellationToken ct = default)
    {
        var (gpus, error) = await RunAsync([$"--query-gpu={Query}", "--format=csv,noheader,nounits"], ct);
        if (error is not null) return new SmiAnswer([], [], error);
        var found = ParseGpus(gpus);
        if (found.Count == 0) return new SmiAnswer([], [], "nvidia-smi: " + gpus.Trim().ReplaceLineEndings(" "));
        if (!found.Any(g => g.MigEnabled == true)) return new SmiAnswer(found, [], null);
        var (list, _) = await RunAsync(["-L"], ct);
        return new SmiAnswer(found, ParseMig(list), null);
    }

    private static async Task<(string Output, string? Error)> RunAsync(IEnumerable<string> arguments, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(Limit, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        var start = new ProcessStartInfo("nvidia-smi", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        Process? process = null;
        try
        {
            process = Process.Start(start)!;
            var output = process.StandardOutput.ReadToEndAsync(either.Token);
            var error = process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            var said = await output;
            return process.ExitCode == 0 ? (said, null)
                : (said, $"nvidia-smi: {(said + await error).Trim().ReplaceLineEndings(" ")} (exit code {process.ExitCode})");
        }
        catch (Win32Exception)
        {
            return ("", "nvidia-smi is not installed");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            process?.Kill();
            return ("", $"nvidia-smi said nothing within {Limit.TotalSeconds:0} s");
        }
        finally
        {
            process?.Dispose();
        }
    }

    private static string? Told(string field) => field.Length == 0 || field[0] == '[' || field is "N/A" or "ERR!" ? null : field;

    private static long? Number(string field) =>
        long.TryParse(field, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n) ? n : null;

    private static int Int(string digits) => int.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^GPU (\d{1,4}): ")]
    private static partial Regex GpuLine();

    [GeneratedRegex(@"^\s+MIG (\S+)\s+Device\s+(\d{1,4}): \(UUID: (MIG-[^)]+)\)")]
    private static partial Regex MigLine();
}
