namespace Sluice.Gateway.Tests;

public sealed class GatewaySettingsTest
{
    [Theory]
    [InlineData("SLUICE_ADMIN_KEY", "short", "at least 16")]
    [InlineData("SLUICE_METRICS_PUBLIC", "yes", "0 or 1")]
    [InlineData("SLUICE_URLS", "foo", "http://127.0.0.1:8080")]
    [InlineData("SLUICE_URLS", "https://0.0.0.0:443", "http://127.0.0.1:8080")]
    [InlineData("SLUICE_LOG_FORMAT", "xml", "text or json")]
    [InlineData("SLUICE_LOG_LEVEL", "3", "Trace, Debug")]
    [InlineData("SLUICE_LOG_LEVEL", "loud", "Trace, Debug")]
    [InlineData("SLUICE_DRAIN_SECONDS", "-1", "0 to 604800")]
    public void A_wrong_setting_is_told_with_what_would_be_right(string name, string value, string expected)
    {
        var e = Assert.Throws<InvalidOperationException>(() => GatewaySettings.Read(n => n == name ? value : null));
        Assert.StartsWith(name, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        if (name == "SLUICE_ADMIN_KEY") Assert.DoesNotContain(value, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SLUICE_POD_HOST", "podman", "process or docker")]
    [InlineData("SLUICE_DOCKER_HOST", "docker.sock", "unix:///var/run/docker.sock")]
    [InlineData("DOCKER_HOST", "ssh://elsewhere", "unix:///var/run/docker.sock")]
    [InlineData("SLUICE_DOCKER_PUBLISH", "yes", "0 or 1")]
    [InlineData("SLUICE_DOCKER_MOUNTS", "/srv/share/x, weights, /srv/share", "/srv/share/x lies in /srv/share")]
    [InlineData("SLUICE_DOCKER_MOUNTS", "/srv/../etc", "without '.' and '..'")]
    [InlineData("SLUICE_DOCKER_MOUNTS", "/", "none lies in another one")]
    public void A_wrong_setting_of_the_docker_host_is_told_too(string name, string value, string expected)
    {
        var e = Assert.Throws<InvalidOperationException>(() => GatewaySettings.Read(n => n == name ? value : n == "SLUICE_POD_HOST" ? "docker" : null));
        Assert.StartsWith(name, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pods_are_processes_unless_docker_is_asked_for()
    {
        Assert.Null(GatewaySettings.Read(_ => null).Host.Docker);
        var docker = GatewaySettings.Read(n => n switch
        {
            "SLUICE_POD_HOST" => "docker",
            "DOCKER_HOST" => "unix:///run/user/1000/docker.sock",
            "SLUICE_DOCKER_MOUNTS" => "/data, weights",
            _ => null,
        }).Host.Docker!;
        Assert.Equal("/run/user/1000/docker.sock", docker.Daemon.AbsolutePath);
        Assert.Equal(["/data", "weights"], docker.Mountable);
        Assert.Equal(Path.GetFullPath("models"), docker.Models);
    }

    [Theory]
    [InlineData("docker", "2", "SLUICE_STANDBY_WORKERS is 2, and SLUICE_POD_HOST is docker")]
    [InlineData("docker", "0", null)]
    [InlineData("docker", null, null)]
    [InlineData("process", "2", null)]
    public void A_setting_without_effect_is_told(string host, string? standby, string? says)
    {
        var vain = GatewaySettings.Read(n => n switch { "SLUICE_POD_HOST" => host, "SLUICE_STANDBY_WORKERS" => standby, _ => null }).Vain;
        if (says is null) Assert.Empty(vain);
        else Assert.StartsWith(says, Assert.Single(vain), StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_set_is_the_contract()
    {
        var settings = GatewaySettings.Read(_ => null);
        Assert.Equal("http://127.0.0.1:8080", settings.Urls);
        Assert.Equal(Path.GetFullPath("data"), settings.Data);
        Assert.Equal(Path.GetFullPath("deploy/endpoints.yaml"), settings.Manifest);
        Assert.Null(settings.Redis);
    }
}
