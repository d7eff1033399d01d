using Sluice.Hosting;
using Sluice.Hosting.Docker;
using Sluice.Hosting.Processes;

namespace Sluice.ControlPlane.Tests.Hosting;

public sealed class HostRegistryTest
{
    [Fact]
    public void A_host_is_selected_by_name_and_the_first_one_is_the_default()
    {
        var hosts = new HostRegistry().AddProcessHost().AddDockerHost();
        Assert.Equal("process", hosts.Select("SLUICE_POD_HOST", null).Name);
        Assert.Equal("docker", hosts.Select("SLUICE_POD_HOST", "docker").Name);
        Assert.Equal([true, false], hosts.All.Select(h => h.Capabilities.StandbyWorkers));
    }

    [Fact]
    public void An_unknown_name_is_rejected_with_the_registered_names()
    {
        var hosts = new HostRegistry().AddProcessHost().AddDockerHost().Add(Other("kubernetes"));
        var e = Assert.Throws<InvalidOperationException>(() => hosts.Select("SLUICE_POD_HOST", "podman"));
        Assert.Equal("SLUICE_POD_HOST is 'podman'; expected process, docker or kubernetes.", e.Message);
    }

    [Fact]
    public void A_name_is_registered_once() =>
        Assert.Throws<ArgumentException>(() => new HostRegistry().AddProcessHost().Add(Other("process")));

    [Fact]
    public void Only_the_selected_host_reads_its_settings()
    {
        var hosts = new HostRegistry().AddProcessHost().AddDockerHost();
        Func<string, string?> invalid = n => n == "SLUICE_DOCKER_PUBLISH" ? "yes" : null;
        hosts.Select("SLUICE_POD_HOST", "process").Configure(invalid);
        var docker = hosts.Select("SLUICE_POD_HOST", "docker");
        Assert.Throws<InvalidOperationException>(() => docker.Configure(invalid));
    }

    private static HostRegistration Other(string name) => new()
    {
        Name = name,
        Capabilities = new HostCapabilities(),
        Configure = _ => _ => throw new InvalidOperationException("not created here"),
        ConfigureUserPods = _ => _ => throw new InvalidOperationException("not created here"),
    };
}
