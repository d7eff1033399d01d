using Sluice.Gateway.Startup;
using Sluice.Hosting.Docker;

namespace Sluice.Gateway.Tests;

public sealed class GatewaySettingsTest
{
    [Theory]
    [InlineData("SLUICE_ADMIN_KEY", "short", "at least 16")]
    [InlineData("SLUICE_METRICS_PUBLIC", "yes", "0 or 1")]
    [InlineData("SLUICE_URLS", "foo", "http://127.0.0.1:8080")]
    [InlineData("SLUICE_URLS", "https://0.0.0.0:443", "http://127.0.0.1:8080")]
    [InlineData("SLUICE_URLS", "http://127.0.0.1:8080/api", "without a path")]
    [InlineData("SLUICE_URLS", "http://127.0.0.1:99999", "http://127.0.0.1:8080")]
    [InlineData("SLUICE_REDIS", "http://localhost", "redis://user:password@host:port/database")]
    [InlineData("SLUICE_REDIS", "redis://localhost/one", "a database number")]
    [InlineData("SLUICE_REDIS", "redis://ann:a%2Cb@localhost", "a password without ','")]
    [InlineData("SLUICE_REDIS", "localhost:6379,pasword=secret", "host:port,password=...")]
    [InlineData("SLUICE_CORS_ORIGINS", "https://app.example.com/", "lower case, no path")]
    [InlineData("SLUICE_CORS_ORIGINS", "*, app.example.com", "lower case, no path")]
    [InlineData("SLUICE_CORS_ORIGINS", "https://App.example.com", "lower case, no path")]
    [InlineData("SLUICE_CORS_ORIGINS", "https://app.example.com:443", "no default port")]
    [InlineData("SLUICE_LOG_FORMAT", "xml", "text or json")]
    [InlineData("SLUICE_LOG_LEVEL", "3", "Trace, Debug")]
    [InlineData("SLUICE_LOG_LEVEL", "loud", "Trace, Debug")]
    [InlineData("SLUICE_DRAIN_SECONDS", "-1", "0 to 604800")]
    public void An_invalid_setting_is_reported_with_the_expected_value(string name, string value, string expected)
    {
        var e = Assert.Throws<InvalidOperationException>(() => GatewaySettings.Read(n => n == name ? value : null));
        Assert.StartsWith(name, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);
        if (name == "SLUICE_ADMIN_KEY") Assert.DoesNotContain(value, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gpu-host-1")]
    [InlineData("10.0.0.5:8080")]
    [InlineData("10.0.5")]
    [InlineData("010.0.0.5")]
    [InlineData("0.0.0.0")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("[fd00::5]:8080")]
    public void An_invalid_address_of_a_node_is_reported_with_the_field_the_value_and_what_would_be_right(string value)
    {
        foreach (var host in new[] { "process", "docker" })
        {
            var e = Assert.Throws<InvalidOperationException>(() => GatewaySettings.Read(
                n => n == "SLUICE_NODE_ADDRESS" ? value : n == "SLUICE_POD_HOST" ? host : null));
            Assert.Equal($"SLUICE_NODE_ADDRESS is '{value}'; expected an IP address of this machine that other "
                + "gateways reach, like 10.0.0.5.", e.Message);
        }
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("", null)]
    [InlineData("10.0.0.5", "10.0.0.5")]
    [InlineData("fd00:0:0::5", "fd00::5")]
    public void The_address_of_a_node_is_read(string? value, string? expected) => Assert.Equal(
        expected, GatewaySettings.Read(n => n == "SLUICE_NODE_ADDRESS" ? value : null).NodeAddress?.ToString());

    [Theory]
    [InlineData("SLUICE_POD_HOST", "podman", "process, docker or kubernetes")]
    [InlineData("SLUICE_DOCKER_HOST", "docker.sock", "unix:///var/run/docker.sock")]
    [InlineData("DOCKER_HOST", "ssh://elsewhere", "unix:///var/run/docker.sock")]
    [InlineData("SLUICE_DOCKER_PUBLISH", "yes", "0 or 1")]
    [InlineData("SLUICE_DOCKER_MOUNTS", "/srv/share/x, weights, /srv/share", "/srv/share/x is in /srv/share")]
    [InlineData("SLUICE_DOCKER_MOUNTS", "/srv/../etc", "without '.' and '..'")]
    [InlineData("SLUICE_DOCKER_MOUNTS", "/", "do not contain each other")]
    public void An_invalid_setting_of_the_Docker_host_is_reported(string name, string value, string expected)
    {
        var e = Assert.Throws<InvalidOperationException>(() =>
            GatewaySettings.Read(n => n == name ? value : n == "SLUICE_POD_HOST" ? "docker" : null));
        Assert.StartsWith(name, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "process")]
    [InlineData("", "process")]
    [InlineData("process", "process")]
    [InlineData("docker", "docker")]
    public void The_pod_host_is_selected_by_name(string? name, string expected) => Assert.Equal(
        expected, GatewaySettings.Read(n => n == "SLUICE_POD_HOST" ? name : null).Host.Registration.Name);

    [Fact]
    public void The_Docker_host_reads_its_settings()
    {
        var docker = DockerSettingsReader.Read(n => n switch
        {
            "DOCKER_HOST" => "unix:///run/user/1000/docker.sock",
            "SLUICE_DOCKER_MOUNTS" => "/data, weights",
            _ => null,
        });
        Assert.Equal("/run/user/1000/docker.sock", docker.Daemon.AbsolutePath);
        Assert.Equal(["/data", "weights"], docker.Mountable);
        Assert.Equal(Path.GetFullPath("models"), docker.Models);
    }

    [Theory]
    [InlineData("docker", "2", "SLUICE_STANDBY_WORKERS is '2'; expected 0 if SLUICE_POD_HOST is docker")]
    [InlineData("docker", "0", null)]
    [InlineData("docker", null, null)]
    [InlineData("process", "2", null)]
    public void A_setting_without_effect_is_reported(string host, string? standby, string? says)
    {
        var vain = GatewaySettings.Read(n => n switch
        {
            "SLUICE_POD_HOST" => host,
            "SLUICE_STANDBY_WORKERS" => standby,
            _ => null,
        }).Ineffective;
        if (says is null) Assert.Empty(vain);
        else Assert.StartsWith(says, Assert.Single(vain), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("redis://:pw%2F1@host:7000/3", "host:7000", null, "pw/1", 3, false)]
    [InlineData("redis://host", "host:6379", null, null, null, false)]
    [InlineData("rediss://ann%40home:pw@10.0.0.1:6380", "10.0.0.1:6380", "ann@home", "pw", null, true)]
    [InlineData("host:6379,user=ann,password=pw", "host:6379", "ann", "pw", null, false)]
    public void A_redis_address_may_be_a_url(
        string given,
        string server,
        string? user,
        string? password,
        int? database,
        bool ssl)
    {
        var settings = GatewaySettings.Read(n => n == "SLUICE_REDIS" ? given : null);
        var options = StackExchange.Redis.ConfigurationOptions.Parse(settings.Redis!);
        var servers = options.EndPoints
            .Select(e => e.ToString()!.Replace("Unspecified/", "", StringComparison.Ordinal));
        Assert.Equal(server, string.Join(',', servers));
        Assert.Equal(
            (user, password, database, ssl),
            (options.User, options.Password, options.DefaultDatabase, options.Ssl));
    }

    [Theory]
    [InlineData(
        "SLUICE_MODEL_REPO",
        "SLUICE_MODEL_REPO is not a gateway setting. Did you mean SLUICE_MODEL_REPOSITORY?")]
    [InlineData("SLUICE_RADIS", "SLUICE_RADIS is not a gateway setting. Did you mean SLUICE_REDIS?")]
    [InlineData(
        "SLUICE_MODEL_CACHE_BYTES",
        "SLUICE_MODEL_CACHE_BYTES is not a gateway setting. Set the variables of a worker in the env of its template.")]
    [InlineData("SLUICE_DOCKER_NETWORK", "SLUICE_DOCKER_NETWORK is only read if SLUICE_POD_HOST is docker.")]
    [InlineData("SLUICE_KEY", null)]
    [InlineData("SLUICE_DATA", null)]
    [InlineData("PATH", null)]
    public void An_unused_variable_is_reported(string name, string? says)
    {
        var vain = GatewaySettings.Read(_ => null, [name]).Ineffective;
        if (says is null) Assert.Empty(vain);
        else Assert.Equal(says, Assert.Single(vain));
    }

    [Fact]
    public void The_defaults_are_as_documented()
    {
        var settings = GatewaySettings.Read(_ => null);
        Assert.Equal("http://127.0.0.1:8080", settings.Urls);
        Assert.Equal(Path.GetFullPath("data"), settings.Data);
        Assert.Equal(Path.GetFullPath("deploy/endpoints.yaml"), settings.Manifest);
        Assert.Null(settings.Redis);
    }
}
