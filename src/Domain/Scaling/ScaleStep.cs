namespace Sluice.Domain.Scaling;

/// <summary>One named step of a decision and the number of workers after it.</summary>
/// <param name="Name">One of <see cref="ScaleSteps"/>.</param>
/// <param name="Workers">Number of workers wanted after the step.</param>
/// <param name="Why">The inputs and the rule of the step as text.</param>
public readonly record struct ScaleStep(string Name, int Workers, string Why);
