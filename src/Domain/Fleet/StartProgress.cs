namespace Sluice.Domain.Fleet;

/// <summary>A step of a start that takes long.</summary>
/// <param name="Text">A description for operators, for example <c>pulling image ...</c>.</param>
/// <param name="Download">The model that is being delivered; null: another step.</param>
public readonly record struct StartProgress(string Text, ModelTransfer? Download = null);
