using System.Threading.Channels;
using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;
using Sluice.Hosting.UserPods;
using Sluice.Testing;

namespace Sluice.Hosts.Tests;

/// <summary>
/// The requirements of every host of user pods, tested on real processes and real containers. Each test has a pod of
/// its own, and leaves nothing of it behind.
/// </summary>
public abstract class UserPodHostConformance
{
    protected const string Installation = "0123456789abcdef";

    protected abstract IUserPodHost Host { get; }

    /// <summary>The fields that select a program of this host: an image, or a template that may run.</summary>
    protected abstract UserPodSpec Base { get; }

    /// <summary>The path of the volume inside a pod.</summary>
    protected abstract string Volume { get; }

    /// <summary>
    /// Shell command of the smallest HTTP server that is available in the host's pods, on <c>$PORT</c>.
    /// </summary>
    protected abstract string Server { get; }

    /// <summary>Whether the host has a source for what pods use.</summary>
    protected virtual bool Measures => true;

    [Fact]
    public async Task A_repeated_start_changes_nothing()
    {
        var start = Start("echo started; exec sleep 1000");
        await StartAsync(start);
        await LinesAsync(start.Pod, "started");
        var before = await FindAsync(start.Pod.Id);
        await StartAsync(start);
        await StartAsync(start);
        var after = await FindAsync(start.Pod.Id);
        Assert.Equal((UserPodInstanceState.Running, start.Fingerprint), (after!.State, after.Fingerprint));
        Assert.True(after.Ran >= before!.Ran);
        Assert.Equal(["started"], await ReadAsync(start.Pod));
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task An_exit_is_reported_with_its_code_and_its_duration()
    {
        var start = Start("echo failed; exit 7");
        await StartAsync(start);
        var exited = await UntilAsync(start.Pod.Id, UserPodInstanceState.Exited);
        Assert.StartsWith("exit code 7", exited.Exit, StringComparison.Ordinal);
        Assert.InRange(exited.Ran!.Value, TimeSpan.Zero, ChildProcess.Patience);
        Assert.Empty(exited.Addresses);
        Assert.Equal(["failed"], await ReadAsync(start.Pod));
        // A stop of a pod that has exited is none.
        await Eventually.CompletesAsync(Host.StopAsync(start.Pod, default));
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_pod_has_its_variables_and_none_of_the_gateways()
    {
        Environment.SetEnvironmentVariable("SLUICE_ADMIN_KEY", "very-secret-admin-key");
        var start = Start("env; echo end", Base with
        {
            Env = new Dictionary<string, string> { ["MODE"] = "fast" },
            Application = PodApplication.Jupyter,
        });
        await StartAsync(start);
        var lines = await LinesAsync(start.Pod, "end");
        Assert.Contains("MODE=fast", lines);
        Assert.Contains("RUNPOD_POD_ID=" + start.Pod.Id, lines);
        Assert.Contains("JUPYTER_TOKEN=secret", lines);
        Assert.Contains("CUDA_VISIBLE_DEVICES=-1", lines);
        Assert.Contains(lines, l => l.StartsWith("PORT=", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, l => l.Contains("very-secret", StringComparison.Ordinal));
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_port_is_reached_at_its_address()
    {
        var start = Start(Server);
        await StartAsync(start);
        var address = Assert.Single((await FindAsync(start.Pod.Id))!.Addresses);
        Assert.Equal(8888, address.Port);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var uri = new UriBuilder("http", address.Host, address.Number).Uri;
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                using var answer = await client.GetAsync(uri);
                return true;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_program_that_ends_at_sigterm_is_not_killed()
    {
        var start = Start("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done");
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        await Eventually.CompletesAsync(Host.StopAsync(start.Pod, default));
        var exited = await FindAsync(start.Pod.Id);
        Assert.Equal(UserPodInstanceState.Exited, exited!.State);
        Assert.StartsWith("exit code 5", exited.Exit, StringComparison.Ordinal);
        Assert.Equal(["up", "bye"], await ReadAsync(start.Pod));
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_program_that_ignores_sigterm_is_killed_after_its_grace_period()
    {
        var start = Start("trap '' TERM; echo up; while :; do read -r line < /dev/zero; done",
            Base with { StopGrace = TimeSpan.FromMilliseconds(300) });
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        await Eventually.CompletesAsync(Host.StopAsync(start.Pod, default));
        var exited = await FindAsync(start.Pod.Id);
        Assert.Equal(UserPodInstanceState.Exited, exited!.State);
        Assert.StartsWith("ended by SIGKILL", exited.Exit, StringComparison.Ordinal);
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_restart_and_a_new_container_keep_the_files_of_the_volume()
    {
        var start = Start($"cd {Volume}; echo x >> file; wc -l < file; exec sleep 1000");
        await StartAsync(start);
        await LinesAsync(start.Pod, "1");
        await Eventually.CompletesAsync(Host.RestartAsync(start.Pod, default));
        await UntilAsync(start.Pod.Id, UserPodInstanceState.Running);
        await LinesAsync(start.Pod, "2");
        await Eventually.CompletesAsync(Host.StopAsync(start.Pod, default));
        await StartAsync(start);
        await LinesAsync(start.Pod, "3");
        await Eventually.CompletesAsync(Host.RemoveAsync(start.Pod.Id, default));
        Assert.Null(await FindAsync(start.Pod.Id));
        Assert.True(await HasVolumeAsync(start.Pod));
        await StartAsync(start);
        await LinesAsync(start.Pod, "4");
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_removal_of_a_running_pod_kills_it_and_can_be_repeated()
    {
        var start = Start("trap '' TERM; echo up; exec sleep 1000");
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        await Eventually.CompletesAsync(Host.RemoveAsync(start.Pod.Id, default));
        await Eventually.CompletesAsync(Host.RemoveAsync(start.Pod.Id, default));
        Assert.Null(await FindAsync(start.Pod.Id));
        Assert.True(await HasVolumeAsync(start.Pod));
        await Eventually.CompletesAsync(Host.RemoveVolumeAsync(start.Pod.Id, default));
        await Eventually.CompletesAsync(Host.RemoveVolumeAsync(start.Pod.Id, default));
        Assert.False(await HasVolumeAsync(start.Pod));
        Assert.Empty(await ReadAsync(start.Pod));
    }

    [Fact]
    public async Task A_pod_that_does_not_exist_has_nothing()
    {
        var pod = Start("exit 0").Pod;
        Assert.Null(await FindAsync(pod.Id));
        Assert.False(await HasVolumeAsync(pod));
        Assert.Empty(await ReadAsync(pod));
        await Eventually.CompletesAsync(Host.RemoveAsync(pod.Id, default));
        await Eventually.CompletesAsync(Host.RemoveVolumeAsync(pod.Id, default));
    }

    [Fact]
    public async Task A_log_has_its_last_lines_and_those_after_a_time()
    {
        var start = Start("for i in 1 2 3; do echo line $i; sleep 0.05; done; echo oops >&2; exit 0");
        await StartAsync(start);
        await UntilAsync(start.Pod.Id, UserPodInstanceState.Exited);
        var all = await LogAsync(start.Pod, new UserPodLogRange(null, null, Follow: false));
        Assert.Equal(["line 1", "line 2", "line 3", "oops"], all.Select(l => l.Text));
        Assert.Equal(all.Select(l => l.At).Order(), all.Select(l => l.At));
        var tail = await LogAsync(start.Pod, new UserPodLogRange(null, 2, Follow: false));
        Assert.Equal(["line 3", "oops"], tail.Select(l => l.Text));
        var since = await LogAsync(start.Pod, new UserPodLogRange(all[1].At, null, Follow: false));
        Assert.Equal(all.Skip(2), since);
        // The log of a program that has exited ends.
        Assert.Equal(all, await LogAsync(start.Pod, new UserPodLogRange(null, null, Follow: true)));
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task A_log_is_followed_until_the_program_exits()
    {
        var start = Start($"cd {Volume}; echo first; until [ -e go ]; do sleep 0.05; done; echo second");
        await StartAsync(start);
        await LinesAsync(start.Pod, "first");
        var lines = Channel.CreateUnbounded<string>();
        var reading = FollowAsync();
        Assert.Equal("first", await lines.Reader.ReadAsync().AsTask().WaitAsync(ChildProcess.Patience));
        await TouchAsync(start.Pod, "go");
        Assert.Equal("second", await lines.Reader.ReadAsync().AsTask().WaitAsync(ChildProcess.Patience));
        await reading.WaitAsync(ChildProcess.Patience);
        await EndAsync(start.Pod);

        async Task FollowAsync()
        {
            await foreach (var line in Host.ReadLogAsync(start.Pod.Id, new UserPodLogRange(null, 10, true), default))
                lines.Writer.TryWrite(line.Text);
        }
    }

    [Fact]
    public async Task A_running_pod_is_measured_and_no_other_one()
    {
        var start = Start("echo up; while :; do :; done");
        Assert.Null(await MeasureAsync(start.Pod));
        await StartAsync(start);
        await LinesAsync(start.Pod, "up");
        var first = await MeasureAsync(start.Pod);
        Assert.Equal(Measures, first is not null);
        if (first is not null)
        {
            var later = (await Eventually.BecomesAsync(() => MeasureAsync(start.Pod),
                r => r!.CpuTime - first.CpuTime > TimeSpan.FromMilliseconds(200), "the processor time increases"))!;
            // One loop uses at most one processor. Process times are counted in steps of 10 ms.
            Assert.InRange(later.CpuTime!.Value - first.CpuTime!.Value, TimeSpan.FromMilliseconds(200),
                later.At - first.At + TimeSpan.FromMilliseconds(100));
            Assert.InRange(later.CpuLimit!.Value, 1, 4096);
            Assert.InRange(later.Memory!.Value, 1 << 10, 1L << 30);
            Assert.InRange(later.MemoryLimit!.Value, later.Memory.Value, 1L << 50);
        }

        await Eventually.CompletesAsync(Host.StopAsync(start.Pod, default));
        Assert.Null(await MeasureAsync(start.Pod));
        await EndAsync(start.Pod);
        Assert.Null(await MeasureAsync(start.Pod));
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named_in_the_reason()
    {
        var start = Start("", Base with { Command = ["/no/such/program"] });
        var why = "";
        try
        {
            await StartAsync(start);
            why = (await UntilAsync(start.Pod.Id, UserPodInstanceState.Exited)).Exit
                + string.Join(' ', await ReadAsync(start.Pod));
        }
        catch (UserPodStartException e)
        {
            why = e.Message;
        }

        Assert.Contains("/no/such/program", why, StringComparison.Ordinal);
        await EndAsync(start.Pod);
    }

    /// <summary>Creates a file in the volume of a running pod, from outside.</summary>
    protected abstract Task TouchAsync(UserPod pod, string name);

    private async Task<UserPodReading?> MeasureAsync(UserPod pod) =>
        (await Eventually.CompletesAsync(Host.MeasureAsync([pod], default))).GetValueOrDefault(pod.Id);

    protected Task StartAsync(UserPodStart start) =>
        Eventually.CompletesAsync(Host.StartAsync(start, _ => { }, default), "the start of a pod");

    protected UserPodStart Start(string command, UserPodSpec? spec = null)
    {
        var given = spec ?? Base;
        var pod = new UserPod
        {
            Id = "a" + Guid.NewGuid().ToString("N")[..13],
            Spec = given with
            {
                Command = given.Command.Count > 0 ? given.Command : ["/bin/sh", "-c", command],
                Ports = ["8888/http"],
            },
            Owner = "key",
            CreatedAt = DateTimeOffset.UnixEpoch,
            Secret = "secret",
        };
        return new UserPodStart(pod, new UserPodState(), Installation);
    }

    protected async Task<UserPodInstance?> FindAsync(string podId) =>
        (await Eventually.CompletesAsync(Host.ListAsync(Installation, default))).FirstOrDefault(i => i.PodId == podId);

    private Task<bool> HasVolumeAsync(UserPod pod) =>
        Eventually.CompletesAsync(Host.HasVolumeAsync(pod.Id, default));

    protected async Task<UserPodInstance> UntilAsync(string podId, UserPodInstanceState state) =>
        (await Eventually.BecomesAsync(() => FindAsync(podId), i => i?.State == state, $"the pod is {state}"))!;

    /// <summary>Waits until the log contains a line.</summary>
    protected Task<IReadOnlyList<string>> LinesAsync(UserPod pod, string line) =>
        Eventually.BecomesAsync(() => ReadAsync(pod), l => l.Contains(line), $"the line '{line}'");

    protected async Task<IReadOnlyList<string>> ReadAsync(UserPod pod) =>
        [.. (await LogAsync(pod, new UserPodLogRange(null, null, Follow: false))).Select(l => l.Text)];

    protected async Task<IReadOnlyList<UserPodLogLine>> LogAsync(UserPod pod, UserPodLogRange range)
    {
        var lines = new List<UserPodLogLine>();
        await Eventually.CompletesAsync(CollectAsync(), "the log of a pod");
        return lines;

        async Task CollectAsync()
        {
            await foreach (var line in Host.ReadLogAsync(pod.Id, range, default)) lines.Add(line);
        }
    }

    protected async Task EndAsync(UserPod pod)
    {
        await Eventually.CompletesAsync(Host.RemoveAsync(pod.Id, default));
        await Eventually.CompletesAsync(Host.RemoveVolumeAsync(pod.Id, default));
        Assert.Null(await FindAsync(pod.Id));
        Assert.False(await HasVolumeAsync(pod));
    }
}
