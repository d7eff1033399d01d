using OpenTelemetry.Exporter;
using Sluice.Gateway.Tracing;

namespace Sluice.Gateway.Tests.Tracing;

public sealed class TracingSettingsTest
{
    private const string Url = "http://127.0.0.1:4317";

    [Theory]
    [InlineData(false)]
    [InlineData(true, "OTEL_EXPORTER_OTLP_ENDPOINT", Url)]
    [InlineData(true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example.com/v1/traces")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", "")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", Url, "OTEL_SDK_DISABLED", "TRUE")]
    [InlineData(true, "OTEL_EXPORTER_OTLP_ENDPOINT", Url, "OTEL_SDK_DISABLED", "1")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", Url, "OTEL_TRACES_EXPORTER", "none")]
    [InlineData(false, "OTEL_TRACES_SAMPLER", "always_on")]
    public void Tracing_is_on_if_a_receiver_is_set_and_nothing_turns_it_off(bool isOn, params string[] variables) =>
        Assert.Equal(isOn, Read(variables).IsEnabled);

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317'; expected an http or https URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]
    [InlineData("OTEL_TRACES_SAMPLER is 'sometimes'; expected always_on, always_off, traceidratio, parentbased_",
        "OTEL_TRACES_SAMPLER", "sometimes")]
    [InlineData("OTEL_TRACES_SAMPLER_ARG is '1,5'; expected a number from 0 to 1",
        "OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "1,5")]
    [InlineData("OTEL_TRACES_SAMPLER_ARG is '2'; expected a number from 0 to 1",
        "OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "2")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json'; expected grpc or http/protobuf",
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is 'x'; expected grpc or http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
    [InlineData("OTEL_TRACES_EXPORTER is 'zipkin'; expected otlp or none", "OTEL_TRACES_EXPORTER", "zipkin")]
    public void An_invalid_variable_is_rejected_with_name_value_and_rule(string message, params string[] variables)
    {
        var error = Assert.Throws<InvalidOperationException>(() => Read(variables));
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_name_and_the_share_are_read()
    {
        var settings = Read("OTEL_SERVICE_NAME", "front", "OTEL_TRACES_SAMPLER", "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG", "0.01");
        Assert.Equal(
            ("front", "parentbased_traceidratio", 0.01), (settings.ServiceName, settings.Sampler, settings.Ratio));
        var defaults = Read();
        Assert.Equal(
            ("sluice-gateway", "parentbased_always_on", 1.0),
            (defaults.ServiceName, defaults.Sampler, defaults.Ratio));
    }

    [Theory]
    [InlineData("http://127.0.0.1:4317/", OtlpExportProtocol.Grpc, "OTEL_EXPORTER_OTLP_ENDPOINT", Url)]
    [InlineData("http://127.0.0.1:4317/v1/traces", OtlpExportProtocol.HttpProtobuf,
        "OTEL_EXPORTER_OTLP_ENDPOINT", Url, "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]
    [InlineData("http://127.0.0.1:4317/base/v1/traces", OtlpExportProtocol.HttpProtobuf,
        "OTEL_EXPORTER_OTLP_ENDPOINT", Url + "/base/", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")]
    [InlineData("http://other/traces", OtlpExportProtocol.HttpProtobuf, "OTEL_EXPORTER_OTLP_ENDPOINT", Url,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://other/traces", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]
    public void The_receiver_has_the_path_of_traces(
        string receiver, OtlpExportProtocol protocol, params string[] variables)
    {
        var settings = Read(variables);
        Assert.Equal((receiver, protocol), (settings.Receiver!.ToString(), settings.Protocol));
    }

    [Fact]
    public void The_variables_of_traces_come_before_the_general_ones()
    {
        var settings = Read("OTEL_EXPORTER_OTLP_HEADERS", "a=1", "OTEL_EXPORTER_OTLP_TIMEOUT", "500",
            "OTEL_BSP_SCHEDULE_DELAY", "x");
        Assert.Equal(("a=1", 500, null), (settings.Headers, settings.ExportTimeout, settings.ExportDelay));
        settings = Read("OTEL_EXPORTER_OTLP_HEADERS", "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2",
            "OTEL_EXPORTER_OTLP_TIMEOUT", "500", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "700",
            "OTEL_BSP_SCHEDULE_DELAY", "50");
        Assert.Equal(("b=2", 700, 50), (settings.Headers, settings.ExportTimeout, settings.ExportDelay));
    }

    private static TracingSettings Read(params string[] variables)
    {
        var all = variables.Chunk(2).ToDictionary(v => v[0], v => v[1]);
        return TracingSettings.Read(n => all.GetValueOrDefault(n));
    }
}
