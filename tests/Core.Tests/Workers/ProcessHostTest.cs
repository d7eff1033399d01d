using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Endpoints;
using Sluice.Core.Workers;
using Sluice.Testing;

namespace Sluice.Core.Tests.Workers;

/// <summary>Real processes, started, watched and stopped.</summary>
public sealed class ProcessHostTest : IDisposable
{
    private readonly ProcessHost host = new(new BuiltInWorker(["/bin/false"], "/models"), TimeProvider.System, NullLogger<ProcessHost>.Instance);

    public void Dispose() => host.Dispose();

    [Fact]
    public async Task A_worker_gets_its_settings_and_nothing_of_the_gateways_environment()
    {
        Environment.SetEnvironmentVariable("SLUICE_ADMIN_KEY", "very-secret-admin-key");
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", "also-secret");
        var pod = await host.StartAsync(Running("env"), "p-1");
        await pod.Exited;

        Assert.DoesNotContain(pod.LastOutput, l => l.Contains("secret", StringComparison.OrdinalIgnoreCase));
        Assert.Contains("SLUICE_POD_ID=p-1", pod.LastOutput);
        Assert.Contains("SLUICE_POD_TOKEN=" + pod.Address.Token, pod.LastOutput);
        Assert.Contains($"PORT={pod.Address.Uri.Port}", pod.LastOutput);
        Assert.Contains("MODE=fast", pod.LastOutput);
        Assert.Matches("^[0-9a-f]{64}$", pod.Address.Token);
        host.Forget(pod);
    }

    [Theory]
    [InlineData("exit 7", "exit code 7")]
    [InlineData("echo out of memory >&2; exit 1", "exit code 1: out of memory")]
    [InlineData("kill -9 $$", "ended by SIGKILL")]
    public async Task An_exit_before_readiness_is_told_with_its_last_words(string command, string why)
    {
        var pod = await host.StartAsync(Running(command), "p-1");
        Assert.Equal(why, await host.WaitReadyAsync(pod, CancellationToken.None));
        host.Forget(pod);
    }

    [Fact]
    public async Task A_worker_that_listens_is_ready_and_sigterm_stops_it()
    {
        var pod = await host.StartAsync(Running(Server), "p-1");
        Assert.Null(await host.WaitReadyAsync(pod, CancellationToken.None));
        await host.StopAsync(pod);
        Assert.StartsWith("ended by SIGTERM", await pod.Exited, StringComparison.Ordinal);
        host.Forget(pod);
    }

    [Fact]
    public async Task A_worker_that_ignores_sigterm_is_killed_after_its_grace()
    {
        var pod = await host.StartAsync(Running("trap '' TERM; echo up; while :; do read -r line < /dev/zero; done"), "p-1");
        while (pod.LastOutput.Count == 0) await pod.Spoke;
        await host.StopAsync(pod);
        Assert.StartsWith("ended by SIGKILL", await pod.Exited, StringComparison.Ordinal);
        host.Forget(pod);
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named()
    {
        var pod = await host.StartAsync(new Deployment(new Endpoint { Id = "e", Template = "t" },
            new Template { Name = "t", Command = ["/no/such/program"] }), "p-1");
        Assert.Contains("/no/such/program", await host.WaitReadyAsync(pod, CancellationToken.None), StringComparison.Ordinal);
        host.Forget(pod);
    }

    [Fact]
    public async Task What_a_worker_started_does_not_outlive_it()
    {
        var pod = await host.StartAsync(Running("sleep 1000 & echo $!; wait"), "p-1");
        while (pod.LastOutput.Count == 0) await pod.Spoke;
        var child = int.Parse(pod.LastOutput[0], System.Globalization.CultureInfo.InvariantCulture);
        host.Kill(pod);
        await pod.Exited;
        host.Forget(pod);
        await ChildProcess.GoneAsync(child);
    }

    /// <summary>The smallest HTTP server there is: Python's own, on the port that the host gave.</summary>
    private const string Server = "exec /usr/bin/python3 -m http.server --bind 127.0.0.1 \"$PORT\"";

    private static Deployment Running(string command) => new(
        new Endpoint { Id = "e", Template = "t", Env = new Dictionary<string, string> { ["MODE"] = "fast" } },
        new Template
        {
            Name = "t",
            Command = ["/bin/sh", "-c", command],
            Protocol = WorkerProtocol.Http1,
            ReadyPath = "/",
            StartTimeout = TimeSpan.FromSeconds(60),
            StopGrace = TimeSpan.FromSeconds(0.5),
        });
}
