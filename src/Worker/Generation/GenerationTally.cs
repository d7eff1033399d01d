namespace Sluice.Worker.Generation;

/// <summary>Receives the usage of one text when the engine has ended it, also if its reader stopped before.</summary>
public sealed class GenerationTally
{
    /// <summary>The usage; zero before the text has ended.</summary>
    public GenerationUsage Usage { get; internal set; }

    /// <summary>When the text reached its stages; null before the text has ended.</summary>
    internal SequenceTimeline? Timeline { get; set; }
}
