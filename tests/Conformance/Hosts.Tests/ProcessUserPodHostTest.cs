using System.Globalization;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.UserPods;
using Sluice.Hosting.Processes;
using Sluice.Hosting.UserPods;
using Sluice.Testing;

namespace Sluice.Hosts.Tests;

/// <summary>User pods that run as processes of this machine.</summary>
public sealed class ProcessUserPodHostTest : UserPodHostConformance, IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-pods-").FullName;
    private readonly ProcessUserPodHost host;

    public ProcessUserPodHostTest() => host = new ProcessUserPodHost(
        new ProcessPodSettings(["shell"], folder), new HostId("test"), TimeProvider.System);

    protected override IUserPodHost Host => host;

    protected override UserPodSpec Base { get; } = new() { Name = "n", Template = "shell", Volume = new PodVolume() };

    protected override string Volume => "\"$HOME\"";

    protected override string Server => "exec /usr/bin/python3 -m http.server --bind 127.0.0.1 \"$PORT\"";

    public void Dispose()
    {
        host.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    public static TheoryData<UserPodSpec, string> Refused { get; } = new()
    {
        { new UserPodSpec { Name = "n", Template = "shell", Image = "i:1" }, "image is 'i:1'; expected none" },
        { new UserPodSpec { Name = "n" },
            "template is ''; expected a template that SLUICE_PROCESS_POD_TEMPLATES names" },
        { new UserPodSpec { Name = "n", Template = "other" }, "template is 'other'; expected" },
        { new UserPodSpec { Name = "n", Template = "shell", Gpu = new GpuRequirements() }, "gpu and container.mounts" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task A_pod_that_the_operator_did_not_allow_is_refused_for_good(UserPodSpec spec, string why)
    {
        var start = Start("echo up", spec);
        var refusal = await Assert.ThrowsAsync<UserPodStartException>(() => StartAsync(start));
        Assert.StartsWith(why, refusal.Message, StringComparison.Ordinal);
        Assert.False(refusal.CanRetry);
        Assert.False(await host.HasVolumeAsync(start.Pod.Id, default));
    }

    [Fact]
    public async Task Child_processes_end_with_the_pod()
    {
        var start = Start("sleep 1000 & echo $!; trap 'exit 0' TERM; while :; do sleep 0.1; done");
        await StartAsync(start);
        var child = int.Parse(
            (await Eventually.BecomesAsync(() => ReadAsync(start.Pod), l => l.Count > 0, "a line"))[0],
            CultureInfo.InvariantCulture);
        await Eventually.CompletesAsync(host.StopAsync(start.Pod, default));
        await ChildProcess.GoneAsync(child);
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task Placeholders_have_the_port_that_the_program_listens_on()
    {
        var start = Start("", Base with { Command = ["/bin/sh", "-c", "echo {port} $PORT $PORT_8888"] });
        await StartAsync(start);
        var lines = await Eventually.BecomesAsync(() => ReadAsync(start.Pod), l => l.Count > 0, "a line");
        var words = lines[0].Split(' ');
        Assert.Single(words.Distinct());
        Assert.NotEqual("8888", words[0]);
        await EndAsync(start.Pod);
    }

    [Fact]
    public async Task The_node_is_that_of_the_machine() =>
        Assert.Equal("process-test", await host.FindNodeAsync(default));

    protected override async Task TouchAsync(UserPod pod, string name) =>
        await File.WriteAllTextAsync(Path.Combine(folder, pod.Id, name), "");
}
