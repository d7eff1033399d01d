using Sluice.Domain.Declarations;
using Sluice.Domain.UserPods;

namespace Sluice.Domain.Tests.UserPods;

/// <summary>Tests the placeholders of a pod, and what its container depends on.</summary>
public sealed class UserPodContentTest
{
    public static TheoryData<UserPodSpec> Unaffected { get; } =
    [
        Pods.Spec with { Name = "other" },
        Pods.Spec with { Template = "other" },
        Pods.Spec with { IdleTimeout = TimeSpan.FromHours(1) },
        Pods.Spec with { StopAfter = TimeSpan.FromHours(1) },
        Pods.Spec with { TerminateAfter = TimeSpan.FromHours(1) },
        Pods.Spec with { StartTimeout = TimeSpan.FromHours(1) },
        Pods.Spec with { StopGrace = TimeSpan.FromMinutes(1) },
        Pods.Spec with { Restart = false },
    ];

    public static TheoryData<UserPodSpec> Affected { get; } =
    [
        Pods.Spec with { Image = "notebook:2" },
        Pods.Spec with { Command = ["sh"] },
        Pods.Spec with { Args = ["-x"] },
        Pods.Spec with { Env = new Dictionary<string, string> { ["A"] = "1" } },
        Pods.Spec with { Ports = ["8889/http"] },
        Pods.Spec with { Volume = new PodVolume() },
        Pods.Spec with { Disk = 1 << 30 },
        Pods.Spec with { Container = UserPodSpec.DefaultContainer with { Cpus = 2 } },
        Pods.Spec with { Application = PodApplication.Jupyter },
        Pods.GpuSpec,
    ];

    [Theory]
    [MemberData(nameof(Unaffected))]
    public void A_container_is_kept_if_the_field_does_not_concern_it(UserPodSpec changed) =>
        Assert.Equal(UserPodFingerprint.Compute(Pods.Spec, []), UserPodFingerprint.Compute(changed, []));

    [Theory]
    [MemberData(nameof(Affected))]
    public void A_container_is_replaced_if_the_field_concerns_it(UserPodSpec changed) =>
        Assert.NotEqual(UserPodFingerprint.Compute(Pods.Spec, []), UserPodFingerprint.Compute(changed, []));

    [Fact]
    public void A_container_is_replaced_if_its_devices_change()
    {
        Assert.NotEqual(
            UserPodFingerprint.Compute(Pods.GpuSpec, []), UserPodFingerprint.Compute(Pods.GpuSpec, ["GPU-1"]));
        Assert.NotEqual(
            UserPodFingerprint.Compute(Pods.GpuSpec, ["GPU-2"]), UserPodFingerprint.Compute(Pods.GpuSpec, ["GPU-1"]));
        Assert.Matches("^[0-9a-f]{16}$", UserPodFingerprint.Compute(Pods.GpuSpec, ["GPU-1"]));
    }

    [Theory]
    [InlineData(true, true, "/pods/a0123456789abc/8888/")]
    [InlineData(true, false, "/")]
    [InlineData(false, true, "/")]
    [InlineData(false, false, "/")]
    public void The_path_of_a_pod_has_the_prefix_only_with_paths_that_are_kept(bool paths, bool keeps, string path)
    {
        var pod = Pods.Create(Pods.Spec with
        {
            Command = ["serve", "--base={path}", "{port}"],
            Args = ["{path}x{path}", "{port}/{unknown}"],
            KeepPrefix = keeps,
        });
        var filled = UserPodPlaceholders.Fill(pod, paths).Spec;
        Assert.Equal(["serve", $"--base={path}", "{port}"], filled.Command);
        Assert.Equal([$"{path}x{path}", "{port}/{unknown}"], filled.Args);
        var listening = UserPodPlaceholders.FillPort(filled, 40000);
        Assert.Equal("40000", listening.Command[2]);
        Assert.Equal("40000/{unknown}", listening.Args[1]);
    }

    [Fact]
    public void A_pod_and_its_state_keep_all_fields_as_json()
    {
        var pod = Pods.Create(Pods.GpuSpec with
        {
            Volume = new PodVolume { Path = "/home", Size = 5 },
            IdleTimeout = TimeSpan.FromMinutes(7),
            Application = PodApplication.CodeServer,
        }) with { Restarts = 3, Locked = true, StopAt = Pods.Now, Secret = "s", Cause = "c" };
        var json = DeclarationSerializer.Write(pod, UserPodJson.Pod);
        var read = System.Text.Json.JsonSerializer.Deserialize(json, UserPodJson.Pod)!;
        Assert.Equal(json, DeclarationSerializer.Write(read, UserPodJson.Pod));
        Assert.Equal((3, true, "s", "c", Pods.Now), (read.Restarts, read.Locked, read.Secret, read.Cause, read.StopAt));
        Assert.Equal((PodApplication.CodeServer, TimeSpan.FromMinutes(7), "/home"),
            (read.Spec.Application, read.Spec.IdleTimeout, read.Spec.Volume!.Path));
    }

    [Fact]
    public void States_are_compared_by_value()
    {
        var state = new UserPodState { Devices = ["GPU-1"], Addresses = [new UserPodAddress(1, "h", 2)] };
        var same = new UserPodState { Devices = ["GPU-1"], Addresses = [new UserPodAddress(1, "h", 2)] };
        Assert.True(state.IsSame(same));
        Assert.False(state.IsSame(state with { Devices = ["GPU-2"] }));
        Assert.False(state.IsSame(state with { Addresses = [] }));
        Assert.False(state.IsSame(state with { Reason = "r" }));
    }
}
