using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.ControlPlane.Pods;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Processes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests;

/// <summary>Pods that run as processes of this machine.</summary>
public sealed class ProcessHostTest : PodHostConformance, IDisposable
{
    private readonly ProcessHost host = NewHost(standbys: 0);

    protected override IPodHost Host => host;

    protected override string Server => "exec /usr/bin/python3 -m http.server --bind 127.0.0.1 \"$PORT\"";

    protected override IReadOnlySet<string> OtherVariables { get; } = new HashSet<string>
    {
        "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "DOTNET_ROOT", "LD_LIBRARY_PATH",
        // Variables of the shell.
        "PWD", "SHLVL", "_", "OLDPWD",
    };

    public void Dispose() => host.Dispose();

    [Fact]
    public async Task A_pod_sees_exactly_its_assigned_devices_and_all_if_none_are_assigned()
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

    [Fact]
    public async Task A_standby_worker_becomes_the_ordered_pod_and_is_replaced()
    {
        using var standing = NewHost(standbys: 1);
        Deployment[] declared = [BuiltIn().Deployment];
        await StandingAsync();
        using var probe = new ReadinessProbe(TimeProvider.System);
        var pod = await standing.StartAsync(BuiltIn(), _ => { }, CancellationToken.None);
        Assert.Equal(0, standing.Standbys);
        Assert.Null(await probe.WaitReadyAsync(pod, null, CancellationToken.None));
        // A standby process has no start of its runtime to report.
        Assert.Contains(pod.Stages, s => s.Name == "model");
        Assert.DoesNotContain(pod.Stages, s => s.Name == "runtime");
        await StandingAsync();

        await standing.StopAsync(pod);
        Assert.StartsWith("exit code 0", await ExitAsync(pod), StringComparison.Ordinal);
        await standing.ForgetAsync(pod);
        // Without declarations no standby worker is needed.
        standing.Prepare([]);
        Assert.Equal(0, standing.Standbys);

        Task StandingAsync() => Eventually.HoldsAsync(() =>
        {
            standing.Prepare(declared);
            return standing.Standbys > 0;
        });
    }

    [Fact]
    public async Task A_pod_with_another_environment_starts_as_a_new_process()
    {
        using var standing = NewHost(standbys: 1);
        await Eventually.HoldsAsync(() =>
        {
            standing.Prepare([BuiltIn().Deployment]);
            return standing.Standbys > 0;
        });

        var order = BuiltIn();
        var env = new Dictionary<string, string> { ["DOTNET_gcServer"] = "0" };
        var endpoint = order.Deployment.Endpoint with { Env = env };
        var other = order with { Deployment = order.Deployment with { Endpoint = endpoint } };
        using var probe = new ReadinessProbe(TimeProvider.System);
        var pod = await standing.StartAsync(other, _ => { }, CancellationToken.None);
        Assert.Equal(1, standing.Standbys);
        Assert.Null(await probe.WaitReadyAsync(pod, null, CancellationToken.None));
        Assert.Contains(pod.Stages, s => s.Name == "runtime");
        await standing.StopAsync(pod);
        await standing.ForgetAsync(pod);
    }

    [Fact]
    public async Task The_exit_of_a_process_is_reported_although_a_child_keeps_its_output_open()
    {
        var pod = await StartAsync(Running("sleep 1000 & echo $!; exit 3"));
        var exit = await ExitAsync(pod);
        Assert.StartsWith("exit code 3: ", exit, StringComparison.Ordinal);
        await ForgetAsync(pod);
    }

    [Fact]
    public async Task A_pod_starts_in_its_own_empty_folder_which_is_deleted_after_its_exit()
    {
        var pod = await StartAsync(Running("pwd; stat -c %a .; ls -A | wc -l; touch left; ls -A"));
        await ExitAsync(pod);
        Assert.Matches("/sluice-work-" + Id.Value + "-[0-9a-f]{32}$", pod.LastOutput[0]);
        Assert.Equal(["700", "0", "left"], pod.LastOutput.Skip(1).Select(l => l.Trim()));
        await ForgetAsync(pod);
        Assert.False(Directory.Exists(pod.LastOutput[0]));
    }

    [Fact]
    public async Task A_relative_program_path_is_resolved_from_the_gateways_folder()
    {
        var script = $"{Id.Value}.sh";
        await File.WriteAllTextAsync(script, "#!/bin/sh\necho \"$1\"; pwd\n");
        try
        {
            var deployment = Deployed(["/bin/sh", "./" + script, "./no-such-file"]);
            var pod = await StartAsync(Running("") with { Deployment = deployment });
            await ExitAsync(pod);
            Assert.Equal("./no-such-file", pod.LastOutput[0]);
            Assert.NotEqual(Environment.CurrentDirectory, pod.LastOutput[1]);
            await ForgetAsync(pod);
        }
        finally
        {
            File.Delete(script);
        }
    }

    [Fact]
    public async Task The_folder_of_a_standby_worker_becomes_the_pods_and_is_deleted_with_it()
    {
        using var standing = NewHost(standbys: 1);
        await Eventually.HoldsAsync(() =>
        {
            standing.Prepare([BuiltIn().Deployment]);
            return standing.Standbys > 0;
        });

        var pod = await standing.StartAsync(BuiltIn(), _ => { }, CancellationToken.None);
        var folder = new FileInfo($"/proc/{pod.ProcessId}/cwd").LinkTarget!;
        Assert.Contains("/sluice-work-", folder, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
        await standing.KillAsync(pod);
        await ExitAsync(pod);
        await standing.ForgetAsync(pod);
        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public void Folders_that_a_killed_gateway_left_are_deleted_at_the_next_start()
    {
        var left = WorkFolder.Create(Id);
        File.WriteAllText(Path.Combine(left.Path, "file"), "");
        using (NewHost(standbys: 0)) Assert.False(Directory.Exists(left.Path));
    }

    private static HostId Id { get; } = new($"test-{Guid.NewGuid():N}"[..13]);

    private static ProcessHost NewHost(int standbys) => new(new BuiltInWorker([Repository.Worker], Repository.Models),
        new StandbySettings(standbys), TestModels.Store(), Id, TimeProvider.System, NullLogger<ProcessHost>.Instance);

    protected override async Task GoneAsync(RunningPod pod)
    {
        await ChildProcess.GoneAsync(pod.ProcessId!.Value);
        // The test that leaves a child process behind prints its id.
        if (pod.LastOutput is [var line] && int.TryParse(line, CultureInfo.InvariantCulture, out var child))
            await ChildProcess.GoneAsync(child);
    }
}
