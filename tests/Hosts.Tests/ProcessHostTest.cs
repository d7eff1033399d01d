using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Hosts.Tests;

/// <summary>Pods as processes of this machine.</summary>
public sealed class ProcessHostTest : PodHostConformance, IDisposable
{
    private readonly ProcessHost host = new(new BuiltInWorker([Repository.Worker], Repository.Models), TimeProvider.System,
        NullLogger<ProcessHost>.Instance);

    protected override IPodHost Host => host;

    protected override string Server => "exec /usr/bin/python3 -m http.server --bind 127.0.0.1 \"$PORT\"";

    protected override IReadOnlySet<string> OtherVariables { get; } = new HashSet<string>
    {
        "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DOTNET_ROOT", "LD_LIBRARY_PATH",
        // The shell's own.
        "PWD", "SHLVL", "_", "OLDPWD",
    };

    public void Dispose() => host.Dispose();

    [Fact]
    public async Task A_pod_sees_exactly_the_devices_that_were_placed_for_it_and_all_where_nobody_places_any()
    {
        Environment.SetEnvironmentVariable("CUDA_VISIBLE_DEVICES", "0,1");
        try
        {
            var placed = await StartAsync(Running("env") with { Devices = ["GPU-1", "MIG-2"] });
            var unplaced = await StartAsync(Running("env"));
            await Task.WhenAll(placed.Exited, unplaced.Exited);
            Assert.Contains("CUDA_VISIBLE_DEVICES=GPU-1,MIG-2", placed.LastOutput);
            Assert.Contains("CUDA_VISIBLE_DEVICES=0,1", unplaced.LastOutput);
            await ForgetAsync(placed);
            await ForgetAsync(unplaced);
        }
        finally
        {
            Environment.SetEnvironmentVariable("CUDA_VISIBLE_DEVICES", null);
        }
    }

    protected override async Task GoneAsync(RunningPod pod)
    {
        await ChildProcess.GoneAsync(pod.ProcessId!.Value);
        // The test that lets a child behind writes its number.
        if (pod.LastOutput is [var line] && int.TryParse(line, CultureInfo.InvariantCulture, out var child)) await ChildProcess.GoneAsync(child);
    }
}
