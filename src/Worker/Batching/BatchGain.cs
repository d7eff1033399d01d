namespace Sluice.Worker.Batching;

/// <summary>
/// What rows gain by running together; pure. Where layers are bound by their weights a batch of 8 costs twice one row (MLPs, embeddings), where they are not it
/// costs eight times (convolutions): then a batch on one core only keeps the other cores idle.
/// </summary>
/// <param name="One">The shortest run of one row.</param>
/// <param name="Many">The shortest run of <paramref name="Rows"/> rows.</param>
/// <param name="Rows">Rows of the larger run.</param>
public readonly record struct BatchGain(TimeSpan One, TimeSpan Many, int Rows)
{
    /// <summary>Between what was measured for convolutions and encoders (1.0 to 1.1) and for an MLP (3.9; facts on ONNX Runtime, section 3).</summary>
    private const double Least = 1.5;

    /// <summary>Rows a second together, in terms of rows a second alone.</summary>
    public double Factor => Many > TimeSpan.Zero ? Rows * One / Many : 1;

    /// <summary>It is worth waiting for those who have come already.</summary>
    public bool Pays => Factor >= Least;
}
