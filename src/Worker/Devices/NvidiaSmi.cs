using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Sluice.Worker.Devices;

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

    /// <summary>
    /// Returns the pairs of GPUs that NVLinks connect, by index; empty if nvidia-smi does not say.
    /// </summary>
    public static IReadOnlyList<(int A, int B)> ReadNvLinks() => ParseNvLinks(Run(["topo", "-m"]).Output);

    /// <summary>
    /// Parses the matrix of <c>nvidia-smi topo -m</c>: a row <c>GPU0</c> has <c>NV18</c> in the columns of the GPUs
    /// that 18 NVLinks connect it to. The header is underlined with escape sequences of terminals.
    /// </summary>
    public static IReadOnlyList<(int A, int B)> ParseNvLinks(string matrix)
    {
        var pairs = new List<(int, int)>();
        int?[] columns = [];
        foreach (var line in Ansi().Replace(matrix, "").Split('\n'))
        {
            var words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || GpuIndex(words[0]) is not { } row) continue;
            if (words[1] != "X" && !IsConnection(words[1]))
            {
                columns = [.. words.Select(GpuIndex)];
                continue;
            }

            for (var i = 0; i < columns.Length && i + 1 < words.Length; i++)
                if (columns[i] is { } column && words[i + 1].StartsWith("NV", StringComparison.Ordinal))
                    pairs.Add((row, column));
        }

        return pairs;
    }

    private static bool IsConnection(string word) =>
        word is "SYS" or "NODE" or "PHB" or "PXB" or "PIX" || NvLink().IsMatch(word);

    private static int? GpuIndex(string word) => GpuColumn().Match(word) is { Success: true } gpu
        ? Int(gpu.Groups[1].Value) : null;

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

    [GeneratedRegex("\x1b\\[[0-9;]*[A-Za-z]")]
    private static partial Regex Ansi();

    [GeneratedRegex(@"^GPU(\d{1,4})\z")]
    private static partial Regex GpuColumn();

    [GeneratedRegex(@"^NV\d{1,3}\z")]
    private static partial Regex NvLink();

    [GeneratedRegex(@"^GPU (\d{1,4}): ")]
    private static partial Regex GpuLine();

    [GeneratedRegex(@"^\s+MIG (\S+)\s+Device\s+(\d{1,4}): \(UUID: (MIG-[^)]+)\)")]
    private static partial Regex MigLine();
}
