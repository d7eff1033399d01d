using System.Diagnostics;
using OpenTelemetry.Trace;

namespace Sluice.Gateway.Tracing;

/// <summary>
/// Samples an attempt of a job if its submission was sampled: the attempt begins its own trace, which only has a link
/// to the submission. Another sampler decides about all other traces, also about the lines of a sampled batch, of which
/// there may be many.
/// </summary>
internal sealed class LinkSampler(Sampler others) : Sampler
{
    /// <summary>Creates the sampler that the settings select.</summary>
    public static LinkSampler Create(TracingSettings settings) => new(settings.Sampler switch
    {
        "always_on" => new AlwaysOnSampler(),
        "always_off" => new AlwaysOffSampler(),
        "traceidratio" => new TraceIdRatioBasedSampler(settings.Ratio),
        "parentbased_always_on" => new ParentBasedSampler(new AlwaysOnSampler()),
        "parentbased_always_off" => new ParentBasedSampler(new AlwaysOffSampler()),
        "parentbased_traceidratio" => new ParentBasedSampler(new TraceIdRatioBasedSampler(settings.Ratio)),
        var other => throw new ArgumentOutOfRangeException(nameof(settings), other, null),
    });

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
    {
        if (samplingParameters.Kind == ActivityKind.Consumer && samplingParameters.ParentContext.TraceId == default
            && samplingParameters.Links is { } links)
            foreach (var link in links)
                if (link.Context.TraceFlags.HasFlag(ActivityTraceFlags.Recorded))
                    return new SamplingResult(SamplingDecision.RecordAndSample);
        return others.ShouldSample(samplingParameters);
    }
}
