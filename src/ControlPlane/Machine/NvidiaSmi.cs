using System.ComponentModel;
using Sluice.Domain.Gpus;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Machine;

/// <summary>Reads the inventory of this machine from nvidia-smi.</summary>
public sealed class NvidiaSmi(string program, TimeProvider time) : IGpuSource
{
    /// <summary>
    /// Time limit of one call. nvidia-smi does not return if a GPU fell off its bus. On a machine with eight GPUs and
    /// without the persistence daemon it takes several seconds.
    /// </summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>nvidia-smi uses a fraction of a second of CPU time.</summary>
    public TimeSpan ReadInterval => TimeSpan.FromSeconds(30);

    public async Task<Inventory?> ReadAsync(CancellationToken ct)
    {
        var (csv, error) = await QueryAsync(NvidiaSmiParser.Query, ct);
        if (error is not null && csv.Contains("not a valid field", StringComparison.OrdinalIgnoreCase))
            (csv, error) = await QueryAsync(NvidiaSmiParser.OldQuery, ct);
        if (error is not null) return Inventory.None(error);
        var gpus = NvidiaSmiParser.Gpus(csv);
        if (gpus.Count == 0) return Inventory.None($"{program}: {Line(csv)}");

        var (list, listError) = gpus.Any(g => g.MigEnabled) ? await RunAsync(["-L"], ct) : ("", null);
        // An inventory without its slices would look like one whose slices were removed.
        if (listError is not null) return Inventory.None(listError);
        var topology = gpus.Count > 1 ? (await RunAsync(["topo", "-m"], ct)).Output : "";
        var links = topology.Contains("NV", StringComparison.Ordinal)
            ? (await RunAsync(["nvlink", "--status"], ct)).Output
            : "";
        // Older drivers and GPUs do not support this command and return an error.
        var feature = (await RunAsync(["conf-compute", "-f"], ct)).Output;
        var ready = NvidiaSmiParser.Confidential(feature, "") == ConfidentialState.Off
            ? ""
            : (await RunAsync(["conf-compute", "-grs"], ct)).Output;
        return Combine(gpus, NvidiaSmiParser.Slices(list), NvidiaSmiParser.Topology(topology),
            NvidiaSmiParser.NvLinks(links), NvidiaSmiParser.Confidential(feature, ready));
    }

    /// <summary>Combines the output of all commands into one inventory. Pure.</summary>
    public static Inventory Combine(
        IReadOnlyList<Gpu> gpus,
        ILookup<string, MigSlice> slices,
        IReadOnlyList<(int A, int B, LinkKind Kind, int NvLinks)> topology,
        IReadOnlyDictionary<string, NvLinks> links,
        ConfidentialState confidential)
    {
        var byIndex = gpus.DistinctBy(g => g.Index).ToDictionary(g => g.Index, g => g.Uuid);
        return new Inventory
        {
            Gpus = [.. gpus.Select(g => g with
            {
                Slices = [.. slices[g.Uuid]],
                NvLinks = links.GetValueOrDefault(g.Uuid),
                Confidential = confidential,
                Fault = g.Fault ?? (confidential == ConfidentialState.NotReady
                    ? "confidential computing is on, but the GPUs are not set to ready (nvidia-smi conf-compute -srs 1)"
                    : null),
            })],
            Links = [.. topology.Where(p => byIndex.ContainsKey(p.A) && byIndex.ContainsKey(p.B))
                .Select(p => new GpuLink(byIndex[p.A], byIndex[p.B], p.Kind, p.NvLinks))],
        };
    }

    private Task<(string Output, string? Error)> QueryAsync(string fields, CancellationToken ct) =>
        RunAsync([$"--query-gpu={fields}", "--format=csv,nounits"], ct);

    private async Task<(string Output, string? Error)> RunAsync(IEnumerable<string> arguments, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            var run = await ProgramRun.RunAsync(program, arguments, "", either.Token);
            if (run.ExitCode == 0) return (run.Output, null);
            return (run.Output, $"{program}: {Line(run.Output + run.Error)} (exit code {run.ExitCode})");
        }
        catch (Win32Exception)
        {
            return ("", $"{program} is not installed");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return ("", $"{program} did not return within {Limit.TotalSeconds:0} s");
        }
    }

    private static string Line(string text) => text.Trim().ReplaceLineEndings(" ");
}
